# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Convex parts: what they contain, and that frames do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.primitives import (
    PartSet,
    box,
    concatenate,
    ellipsoid,
    prism,
    profile,
)

coordinate = st.floats(-3.0, 3.0)
angle = st.floats(-180.0, 180.0)
PARTS = concatenate(
    [
        box((0.5, 0.2, 0.1), (2.0, 1.0, 0.6), 0.4),
        ellipsoid((-1.0, 0.5, 0.3), (0.8, 0.5, 1.2)),
        prism((1.0, -1.0, 0.0), 0.4, 1.0, 1),
        profile([(-1, -0.5), (1, -0.5), (0.6, 0.5), (-0.8, 0.5)], 1.4, 1.0),
    ]
)


def test_a_box_contains_its_inside_and_nothing_else() -> None:
    part = box((1.0, 2.0, 3.0), (4.0, 2.0, 1.0))
    points = np.array([[2.9, 2.9, 3.4], [3.1, 2.0, 3.0], [1.0, 3.1, 3.0], [1.0, 2.0, 3.6]])
    assert part.contains(points).tolist() == [True, False, False, False]


def test_a_profile_narrows_towards_its_top() -> None:
    part = profile([(-2, 0), (2, 0), (1, 1), (-1, 1)], 2.0, 1.0)
    points = np.array(
        [[0, 0.95, 0.01], [0, 0.95, 0.9], [0, 0.5, 0.9], [1.8, 0, 0.1], [1.8, 0, 0.9]]
    )
    assert part.contains(points).tolist() == [True, False, True, True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(coordinate, coordinate, coordinate),
    st.tuples(coordinate, coordinate, coordinate, angle, angle, angle),
)
def test_containment_does_not_depend_on_the_frame(
    point: tuple[float, float, float], pose: tuple[float, ...]
) -> None:
    matrix = matrix_from_v2x(np.array(pose))
    moved = matrix[:3, :3] @ np.array(point) + matrix[:3, 3]
    # points within rounding distance of a surface may fall on either side
    nudged = np.array(point) + np.array([[0, 0, 0], [1e-6, 0, 0], [0, 1e-6, 0], [0, 0, 1e-6]])
    before = PARTS.contains(nudged)
    if before.all() or not before.any():
        assert PARTS.transformed(matrix).contains(moved[None])[0] == before[0]


def test_bounding_corners_enclose_every_part() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 3, (4000, 3))
    for index in range(len(PARTS)):
        single = PARTS.select(np.array([index]))
        inside = points[single.contains(points)]
        origin, ends = single.corners[0, 0], single.corners[0, [4, 2, 1]]
        shares = (inside - origin) @ np.linalg.inv(ends - origin)
        assert len(inside) > 10
        assert shares.min() >= -1e-9
        assert shares.max() <= 1 + 1e-9


def test_inconsistent_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"PartSet\.glass has shape"):
        PartSet(
            PARTS.rows,
            PARTS.counts,
            PARTS.corners,
            PARTS.glass[:1],
            PARTS.reflectivity,
            PARTS.porosity,
        )


def test_an_outline_with_too_many_points_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 8"):
        profile([(float(i), float(i * i)) for i in range(9)], 1.0, 1.0)
