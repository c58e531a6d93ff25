# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers that tell of another place, or of objects that are not there, are flagged."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.consistency import (
    ConsistencySettings,
    Evidence,
    OccupancyView,
    PeerConsistency,
    compare_views,
)
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import invert

GRID = BevGrid((-51.2, -38.4, -5.0, 51.2, 38.4, 1.0), (0.4, 0.4, 6.0))
GAIN = 6.0
BACKGROUND = np.array([3, 5], np.uint8)
PEER_TO_EGO = np.eye(4)
PEER_TO_EGO[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
PEER_TO_EGO[:2, 3] = [12.0, 4.0]
#: Centres of cars in the ego's frame, metres.
CARS = np.array([[8.0, 6.0], [-10.0, 3.0], [5.0, -9.0], [16.0, 12.0], [-4.0, 14.0], [2.0, 22.0]])


def cells_of(points, to_frame):
    moved = points @ to_frame[:2, :2].T + to_frame[:2, 3]
    columns = np.floor((moved[:, 0] - GRID.lidar_range[0]) / GRID.cell_size[1]).astype(int)
    rows = np.floor((moved[:, 1] - GRID.lidar_range[1]) / GRID.cell_size[0]).astype(int)
    return rows, columns


def view(cars, to_frame, observed=True):
    """An agent that sees the ground everywhere (or nowhere) and these cars, 4 m long and wide."""
    scores = np.full(GRID.shape, 0.05 * GAIN, np.float32)
    rows, columns = cells_of(np.asarray(cars, float).reshape(-1, 2), to_frame)
    for row, column in zip(rows, columns, strict=True):
        scores[row - 2 : row + 3, column - 2 : column + 3] = 0.6 * GAIN
    indices = np.broadcast_to(BACKGROUND[:, None, None], (2, *GRID.shape)).copy()
    if observed:
        indices[1] += 1
    return OccupancyView.of(scores, GAIN, indices, BACKGROUND)


def compare(ego_cars, peer_cars, pose=PEER_TO_EGO, **ego):
    truth = invert(PEER_TO_EGO)
    return compare_views(view(ego_cars, np.eye(4), **ego), view(peer_cars, truth), pose, GRID)


def moved(dx, dy):
    pose = PEER_TO_EGO.copy()
    pose[:2, 3] += [dx, dy]
    return pose


def test_honest_peers_are_never_contradicted():
    evidence = compare(CARS, CARS)
    assert evidence.compared > 200
    assert (evidence.contradicted, evidence.false_objects) == (0, 0)


def test_a_pose_error_of_half_a_metre_is_forgiven():
    evidence = compare(CARS, CARS, moved(0.4, -0.4))
    assert evidence.contradicted / evidence.compared < 0.02


def test_a_displaced_peer_is_contradicted_from_both_sides():
    evidence = compare(CARS, CARS, moved(7.0, 0.0))
    assert evidence.contradicted / evidence.compared > 0.4


def test_an_invented_car_is_a_false_object():
    evidence = compare(CARS, [*CARS, (-14.0, -6.0)])
    assert evidence.false_objects == 1
    assert evidence.contradicted / evidence.compared < 0.25


def test_what_the_ego_does_not_see_is_believed():
    evidence = compare(CARS, [*CARS, (-14.0, -6.0)], observed=False)
    assert evidence.false_objects == 0
    assert evidence.contradicted == 0, "without the ego's ground only the peer's is compared"


def test_a_car_far_from_the_ego_is_believed():
    assert compare(CARS, [*CARS, (38.0, 8.0)]).false_objects == 0


def test_a_peer_without_any_claim_is_compared_by_what_the_ego_sees():
    evidence = compare(CARS, [])
    assert evidence.contradicted > 50
    assert compare([], []) == Evidence(0, 0, 0)


def test_a_peer_is_flagged_by_the_share_and_comes_back_when_it_agrees():
    peer = PeerConsistency(ConsistencySettings())
    peer.add(Evidence(100, 60, 0))
    assert "60 % of the common view" in peer.suspicion
    for _ in range(6):
        peer.add(Evidence(100, 2, 0))
    assert peer.suspicion == ""


def test_few_cells_prove_nothing():
    peer = PeerConsistency(ConsistencySettings())
    peer.add(Evidence(10, 10, 0))
    assert peer.share == 0.0
    assert peer.suspicion == ""


def test_a_lasting_false_object_flags_a_passing_one_does_not():
    peer = PeerConsistency(ConsistencySettings(object_frames=3, window=6))
    for false in (1, 0, 1, 0, 0):
        peer.add(Evidence(100, 5, false))
    assert peer.suspicion == ""
    peer.add(Evidence(100, 5, 2))
    assert "3 of 6 frames" in peer.suspicion
    for _ in range(6):
        peer.add(Evidence(100, 5, 0))
    assert peer.suspicion == ""


@pytest.mark.parametrize(
    "change", [{"memory": 1.0}, {"max_share": 0.0}, {"object_frames": 7}, {"object_frames": 0}]
)
def test_settings_are_validated(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ConsistencySettings(**change)
