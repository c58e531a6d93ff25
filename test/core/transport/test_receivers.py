# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sender leaves out what none of those who listen can use, and nothing more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.core.peers.peers import PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.receivers import GONE_AFTER, MARGIN, Receivers

GRID = BevGrid((-51.2, -25.6, -3.0, 51.2, 25.6, 1.0), (0.4, 0.4, 4.0), 2)
RANGE = DetectionConfig(range_x=40.0, range_y=20.0)
HERE = np.eye(4)


def at(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


@pytest.fixture
def receivers() -> Receivers:
    return Receivers(GRID, RANGE)


def test_while_nobody_is_heard_everything_is_sent(receivers: Receivers) -> None:
    assert receivers.wanted(HERE, 0.0) is None


def test_cells_outside_a_receivers_range_are_not_wanted(receivers: Receivers) -> None:
    receivers.hear(2, at(60.0, 0.0), 0.0)
    wanted = receivers.wanted(HERE, 0.1)
    assert wanted is not None
    columns = np.nonzero(wanted.any(axis=0))[0]
    x = GRID.cell_centres()[1]
    assert x[columns].min() == pytest.approx(60.0 - 40.0 - MARGIN, abs=0.8)
    assert x[columns].max() == pytest.approx(51.2, abs=0.8)


def test_what_any_receiver_wants_is_sent(receivers: Receivers) -> None:
    receivers.hear(2, at(60.0, 0.0), 0.0)
    first = receivers.wanted(HERE, 0.0)
    receivers.hear(3, at(-60.0, 0.0), 0.0)
    both = receivers.wanted(HERE, 0.0)
    assert first is not None
    assert both is not None
    assert (both & first).sum() == first.sum() < both.sum()


def test_a_receiver_that_hardly_knows_where_it_is_gets_everything(receivers: Receivers) -> None:
    receivers.hear(2, at(60.0, 0.0), 0.0)
    receivers.hear(3, None, 0.0)
    assert receivers.wanted(HERE, 0.1) is None
    receivers.hear(3, at(60.0, 0.0), 0.2)
    assert receivers.wanted(HERE, 0.3) is not None


def test_a_receiver_is_where_it_was_heard_last(receivers: Receivers) -> None:
    receivers.hear(2, at(60.0, 0.0), 0.0)
    receivers.hear(2, at(0.0, 0.0), 0.1)
    wanted = receivers.wanted(HERE, 0.1)
    assert wanted is not None
    assert wanted[:, GRID.shape[1] // 2].all()


def test_a_station_that_falls_silent_is_forgotten(receivers: Receivers) -> None:
    receivers.hear(2, at(60.0, 0.0), 0.0)
    assert receivers.count(0.9 * GONE_AFTER) == 1
    assert receivers.wanted(HERE, GONE_AFTER) is None


def test_made_up_stations_cannot_crowd_out_a_receivers_wishes() -> None:
    registry = PeerRegistry(1, PeerLimits(max_peers=32))
    receivers = Receivers(GRID, RANGE, registry)
    for station in range(1000, 1032):
        receivers.hear(station, at(900.0, 900.0), 0.0)
        registry.note_fused([station], 0.0)  # so that it keeps its place
    assert not receivers.wanted(HERE, 0.05).any()
    receivers.hear(2, HERE, 0.1)
    assert receivers.wanted(HERE, 0.2) is None
    assert receivers.count(0.2) == 32
    later = 0.1 + registry.limits.silent_after
    receivers.hear(2, HERE, later)
    assert receivers.count(later) == 1
    assert receivers.wanted(HERE, later).any()


def test_nor_can_they_where_messages_are_refused_before_they_are_read() -> None:
    registry = PeerRegistry(1, PeerLimits(max_peers=2))
    receivers = Receivers(GRID, RANGE, registry)
    for station in (1000, 1001):
        receivers.hear(station, at(900.0, 900.0), 0.0)
    with pytest.raises(PeerRefusedError):
        registry.check(2, 0.1)
    assert receivers.wanted(HERE, 0.2) is None


def test_time_that_jumps_back_starts_with_nobody() -> None:
    registry = PeerRegistry(1)
    receivers = Receivers(GRID, RANGE, registry)
    receivers.hear(2, HERE, 5.0)
    registry.reset()
    assert receivers.wanted(HERE, 5.0) is None


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-np.pi, np.pi), st.floats(-np.pi, np.pi))
def test_no_cell_within_a_receivers_range_is_left_out(
    x: float, y: float, yaw: float, own_yaw: float
) -> None:
    receivers = Receivers(GRID, RANGE)
    own, other = at(0.0, 0.0, own_yaw), at(x, y, yaw)
    receivers.hear(2, other, 0.0)
    wanted = receivers.wanted(own, 0.0)
    assert wanted is not None
    rows, columns = GRID.cell_centres()
    grid_x, grid_y = np.meshgrid(columns, rows)
    points = np.stack([grid_x.ravel(), grid_y.ravel(), np.zeros(grid_x.size)], axis=1)
    seen = transform_points(points, transform_between(own, other))
    inside = (np.abs(seen[:, 0]) <= RANGE.range_x) & (np.abs(seen[:, 1]) <= RANGE.range_y)
    assert wanted.ravel()[inside].all()
