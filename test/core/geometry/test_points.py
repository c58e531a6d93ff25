# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points seen from another frame are where a matrix puts them, and keep what comes with them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.points import moved_points
from quantv2x_ros.core.geometry.pose import matrix_from_v2x


@given(
    st.lists(st.floats(-90.0, 90.0), min_size=6, max_size=6),
    st.integers(0, 40),
    st.integers(3, 6),
    st.integers(0, 2**32 - 1),
)
def test_points_are_where_the_matrix_puts_them(pose, count, columns, seed):
    matrix = matrix_from_v2x(pose)
    generator = np.random.default_rng(seed)
    points = generator.uniform(-100.0, 100.0, (2 * count, columns)).astype(np.float32)[::2]
    before = points.copy()
    moved = moved_points(points, matrix[:3, :3], matrix[:3, 3])
    expected = points[:, :3].astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(moved[:, :3], expected, atol=1e-4)
    np.testing.assert_array_equal(moved[:, 3:], points[:, 3:])
    np.testing.assert_array_equal(points, before)
    assert moved.dtype == np.float32
