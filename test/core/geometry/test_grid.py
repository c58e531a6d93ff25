# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes and cell positions of the BEV grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantv2x_ros.core.geometry.grid import BevGrid


def test_the_v2x_real_grid_is_the_published_one() -> None:
    grid = BevGrid()
    assert grid.pillar_shape == (200, 704)
    assert grid.shape == (100, 352)
    np.testing.assert_allclose(grid.cell_size, (0.8, 0.8))
    np.testing.assert_allclose(grid.extent, (80.0, 281.6))
    y, x = grid.cell_centres()
    np.testing.assert_allclose(x[[0, 1, 351]], (-140.4, -139.6, 140.4))
    np.testing.assert_allclose(y[[0, 99]], (-39.6, 39.6))


def test_a_range_off_the_sensor_with_oblong_cells() -> None:
    grid = BevGrid((0.0, -6.4, -4.0, 12.8, 19.2, 0.0), (0.2, 0.4, 4.0), stride=4)
    assert grid.pillar_shape == (64, 64)
    assert grid.shape == (16, 16)
    np.testing.assert_allclose(grid.cell_size, (1.6, 0.8))
    np.testing.assert_allclose(grid.centre, (6.4, 6.4))
    y, x = grid.cell_centres()
    np.testing.assert_allclose((y[0], x[0]), (-5.6, 0.4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lidar_range": (-10.0, -40, -3, 10.0, 40, 1)}, "multiples of 8"),
        ({"lidar_range": (-140.9, -40, -3, 140.8, 40, 1)}, "lidar_range in x"),
        ({"lidar_range": (0.0, 40, -3, 140.8, -40, 1)}, "lidar_range in y"),
        ({"lidar_range": (0.0, -40, -3, float("inf"), 40, 1)}, "six finite numbers"),
        ({"lidar_range": (0.0, 1.0)}, "six finite numbers"),
        ({"voxel_size": (0.4, 0.0, 4.0)}, "voxel_size"),
        ({"voxel_size": (0.4, 0.4, float("nan"))}, "voxel_size"),
        ({"stride": 3}, "stride: got 3"),
    ],
)
def test_grids_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BevGrid(**change)
