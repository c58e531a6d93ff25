# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motion is seen in the occupancy of a peer's last sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.occupancy_tracks import (
    OccupancyTracks,
    TrackSettings,
    occupied_regions,
)
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import invert

GRID = BevGrid((-51.2, -38.4, -5.0, 51.2, 38.4, 1.0), (0.4, 0.4, 6.0))
STEP = 100_000_000
TURNED = np.eye(4)
TURNED[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
TURNED[:2, 3] = [30.0, -10.0]


def occupancy(places, pose):
    """Cars (soft blobs) at places in the map, as seen from a pose."""
    y, x = GRID.cell_centres()
    local = invert(pose)
    grid = np.zeros(GRID.shape, np.float32)
    for place in places:
        at = local[:2, :2] @ np.asarray(place, float) + local[:2, 3]
        gap = np.hypot(x[None] - at[0], y[:, None] - at[1])
        grid = np.maximum(grid, (0.8 * np.exp(-((gap / 2.0) ** 2))).astype(np.float32))
    return grid


def watch(paths, pose=TURNED, moves=(0.0, 0.0), **settings):
    """Tracks after the sweeps in which objects were at these places; the peer may move, too."""
    tracks = OccupancyTracks(TrackSettings(**settings), GRID)
    now = pose.copy()
    for number, places in enumerate(paths):
        if number:
            now = now.copy()
            now[:2, 3] += moves
        tracks.add(occupancy(places, now), now, number * STEP)
    return tracks, now, (len(paths) - 1) * STEP


def in_map(item, pose):
    return pose[:2, :2] @ [item.dx, item.dy]


@pytest.mark.parametrize("velocity", [(8.0, 0.0), (0.0, -5.0), (6.0, 6.0)])
@pytest.mark.parametrize("moves", [(0.0, 0.0), (0.9, -0.4)])
def test_velocity_is_that_in_the_map_however_the_peer_moves(velocity, moves):
    paths = [[(20 + velocity[0] * k / 10, 5 + velocity[1] * k / 10)] for k in range(6)]
    tracks, pose, last = watch(paths, moves=moves)
    (item,) = tracks.displacements(pose, last + 3 * STEP)
    np.testing.assert_allclose(in_map(item, pose), np.multiply(velocity, 0.3), atol=0.25)
    place = pose[:2, :2] @ [item.x, item.y] + pose[:2, 3]
    np.testing.assert_allclose(place, paths[-1][0], atol=0.6)


def test_standing_objects_stay():
    tracks, pose, last = watch([[(20, 5), (10, -20)]] * 6, moves=(1.0, 0.0))
    assert tracks.displacements(pose, last + 4 * STEP) == []


def test_objects_are_told_apart():
    paths = [[(20 + 0.8 * k, 5), (20, -8 - 0.5 * k), (40, 9)] for k in range(6)]
    tracks, pose, last = watch(paths)
    moved = sorted(in_map(item, pose).tolist() for item in tracks.displacements(pose, last + STEP))
    np.testing.assert_allclose(moved, [(0.0, -0.5), (0.8, 0.0)], atol=0.15)


def test_three_places_are_needed():
    paths = [[(20 + 0.8 * k, 5)] for k in range(2)]
    tracks, pose, last = watch(paths)
    assert tracks.displacements(pose, last + STEP) == []


def test_what_jumps_about_has_no_velocity():
    rng = np.random.default_rng(1)
    paths = [[(20 + rng.uniform(-1.4, 1.4), 5 + rng.uniform(-1.4, 1.4))] for _ in range(6)]
    tracks, pose, last = watch(paths, max_residual=0.3)
    assert tracks.displacements(pose, last + STEP) == []


def test_an_older_sweep_and_an_earlier_time_change_nothing():
    paths = [[(20 + 0.8 * k, 5)] for k in range(5)]
    tracks, pose, last = watch(paths)
    before = tracks.displacements(pose, last + STEP)
    tracks.add(occupancy([(0, 0)], pose), pose, last - STEP)
    assert tracks.displacements(pose, last + STEP) == before
    assert tracks.displacements(pose, last) == []


def test_a_region_larger_than_a_truck_is_none():
    grid = np.zeros(GRID.shape, np.float32)
    grid[10:12, 5:40] = 0.9
    grid[30:33, 5:9] = 0.9
    (region,) = occupied_regions(grid, GRID, 0.3)
    assert len(region.points) == 12
    y, x = GRID.cell_centres()
    np.testing.assert_allclose(region.centre, [x[5:9].mean(), y[30:33].mean()])


def test_nothing_is_seen_in_an_empty_view():
    tracks, pose, last = watch([[]] * 4)
    assert tracks.displacements(pose, last + STEP) == []
