# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Assemblies make the same parts as the primitives do one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.data.simulator.assembly import Assembly
from quantv2x_ros.data.simulator.primitives import box, concatenate, ellipsoid

place = st.tuples(*[st.floats(-9.0, 9.0)] * 3)
extent = st.tuples(*[st.floats(0.05, 4.0)] * 3)


@settings(max_examples=40, deadline=None)
@given(place, extent, st.floats(-4.0, 4.0), place, extent)
def test_boxes_and_ellipsoids_are_those_of_the_primitives(
    center: tuple[float, float, float],
    size: tuple[float, float, float],
    yaw: float,
    middle: tuple[float, float, float],
    radii: tuple[float, float, float],
) -> None:
    plan = Assembly()
    plan.ellipsoid(middle, radii, reflectivity=0.2, porosity=0.1)
    plan.box(center, size, yaw, reflectivity=0.7, porosity=0.3)
    got = plan.parts()
    expected = concatenate(
        [
            box(center, size, yaw, reflectivity=0.7, porosity=0.3),
            ellipsoid(middle, radii, reflectivity=0.2, porosity=0.1),
        ]
    )
    for name in ("rows", "counts", "corners", "glass", "reflectivity", "porosity"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), atol=1e-9)


def test_an_assembly_can_be_put_into_another_one() -> None:
    inner, outer = Assembly(), Assembly()
    inner.block((0, 1), (0, 1), (0, 1))
    inner.ellipsoid((3, 0, 0), (1, 1, 1))
    outer.extend(inner, (10.0, 20.0, 30.0))
    parts = outer.parts()
    assert parts.contains(
        np.array([[10.5, 20.5, 30.5], [13.9, 20, 30], [0.5, 0.5, 0.5]])
    ).tolist() == [
        True,
        True,
        False,
    ]


def test_an_empty_interval_adds_nothing() -> None:
    plan = Assembly()
    plan.block((1, 1), (0, 1), (0, 1))
    plan.block((2, 1), (0, 1), (0, 1))
    assert len(plan.parts()) == 0
