# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which columns of a peer's map lie in the ego's range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.fusion.columns import MARGIN, NeededColumns
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between, transform_points

GRID = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))
COLUMNS = NeededColumns(GRID, DetectionConfig())


def needed(x: float, y: float, yaw: float) -> slice:
    """For a peer at a pose in the ego's frame, metres and degrees."""
    peer = matrix_from_v2x([x, y, 0.0, 0.0, yaw, 0.0])
    return COLUMNS.of(transform_between(np.eye(4), peer))


def test_the_ego_needs_its_range_the_regressions_reach_and_the_margin() -> None:
    columns = COLUMNS.of(np.eye(4))
    reach = (columns.stop - columns.start) * 0.8 / 2
    assert 100.0 + 4.0 + MARGIN <= reach < 100.0 + 4.0 + MARGIN + 0.8
    assert columns.start + columns.stop == GRID.shape[1]


def test_of_a_peer_ahead_the_part_beyond_the_range_is_left_out() -> None:
    ahead, behind = needed(60.0, 0.0, 0.0), needed(-60.0, 0.0, 0.0)
    assert ahead.start == 0
    assert ahead.stop == pytest.approx((140.8 + 104.0 - 60.0 + MARGIN) / 0.8, abs=1)
    assert (behind.start, behind.stop) == (352 - ahead.stop, 352)


def test_a_peer_that_crosses_needs_half_the_columns_or_less() -> None:
    columns = needed(20.0, 0.0, 90.0)
    assert columns.stop - columns.start <= 125


def test_a_peer_out_of_range_needs_none() -> None:
    assert needed(400.0, 0.0, 0.0) == slice(0, 0)
    assert needed(0.0, 150.0, 0.0) == slice(0, 0)


@given(st.floats(-120, 120), st.floats(-60, 60), st.floats(-180, 180))
def test_no_place_in_range_is_left_out(x: float, y: float, yaw: float) -> None:
    columns = needed(x, y, yaw)
    generator = np.random.default_rng(0)
    places = np.column_stack([generator.uniform(-100, 100, 500), generator.uniform(-40, 40, 500)])
    peer = matrix_from_v2x([x, y, 0.0, 0.0, yaw, 0.0])
    cloud = np.column_stack([places, np.zeros(500)])
    seen = transform_points(cloud, transform_between(np.eye(4), peer))
    inside = (np.abs(seen[:, 0]) < 140.8) & (np.abs(seen[:, 1]) < 40.0)
    column = np.floor((seen[inside, 0] + 140.8) / 0.8)
    assert ((column >= columns.start) & (column < columns.stop)).all()
