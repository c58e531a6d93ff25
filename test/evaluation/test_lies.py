# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lies are what they say, and last through a scenario."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.evaluation.frame_state import Sent
from quantv2x_ros.evaluation.lies import Elsewhere, Honest, InventedCar, LieInput, WrongPose
from quantv2x_ros.inference.protocol import Broadcast

GRID = BevGrid((-51.2, -38.4, -5.0, 51.2, 38.4, 1.0), (0.4, 0.4, 6.0))
BACKGROUND = np.array([3, 5], np.uint8)
CAR = 9


def sent(pose: np.ndarray, seen: bool = True) -> Sent:
    """A map with codes of ground everywhere, or of nothing."""
    indices = np.broadcast_to(BACKGROUND[:, None, None], (2, *GRID.shape)).copy()
    if seen:
        indices[1] += 1
    return Sent(None, Broadcast(b"", {}), indices, pose, 0.0, np.eye(4))


@pytest.fixture
def scene() -> LieInput:
    """A peer 12 m beside the ego, turned by 90 degrees, that sees a car 10 m ahead of itself."""
    peer = sent(matrix_from_v2x([2.0, 12.0, 0.0, 0.0, 90.0, 0.0]))
    row, column = GRID.shape[0] // 2, int((10.0 + 51.2) / 0.8)
    peer.indices[:, row - 1 : row + 2, column - 2 : column + 3] = CAR
    box = np.array([[10.0, 0.0, -1.0, 4.0, 2.0, 1.5, 0.0]], np.float32)
    alone = Detections(box, np.array([0.9], np.float32), np.array([1], np.int32))
    occupancy = np.full(GRID.shape, 0.05, np.float32)
    return LieInput(GRID, BACKGROUND, sent(np.eye(4)), occupancy, peer, alone, None)


def cars_in_map(claimed) -> np.ndarray:
    """Where cells of cars are, (N, 2) in the map."""
    rows, columns = np.nonzero(claimed.indices[0] == CAR)
    y, x = GRID.cell_centres()
    points = np.stack([x[columns], y[rows], np.zeros(len(rows)), np.ones(len(rows))])
    return (claimed.pose @ points)[:2].T


def test_an_honest_peer_says_what_it_sends(scene):
    claimed = Honest().tell(scene)
    assert claimed.indices is scene.peer.indices
    np.testing.assert_array_equal(claimed.pose, scene.peer.pose)


def test_a_wrong_pose_is_off_by_metres_in_the_map_and_turned_where_it_stands(scene):
    claimed = WrongPose(1.0, -2.0, 30.0).tell(scene)
    np.testing.assert_allclose(claimed.pose[:3, 3] - scene.peer.pose[:3, 3], [1.0, -2.0, 0.0])
    expected = matrix_from_v2x([0.0, 0.0, 0.0, 0.0, 120.0, 0.0])[:3, :3]
    np.testing.assert_allclose(claimed.pose[:3, :3], expected, atol=1e-12)
    assert claimed.indices is scene.peer.indices


def test_a_map_of_elsewhere_needs_another_scenario(scene):
    assert Elsewhere().tell(scene) is None
    other = np.zeros_like(scene.peer.indices)
    claimed = Elsewhere().tell(replace(scene, elsewhere=other))
    assert claimed.indices is other
    np.testing.assert_array_equal(claimed.pose, scene.peer.pose)


@pytest.mark.parametrize("seed", range(5))
def test_an_invented_car_stands_still_near_the_ego_while_the_peer_drives_on(scene, seed):
    lie = InventedCar(np.random.default_rng(seed))
    honest = {tuple(point) for point in cars_in_map(Honest().tell(scene)).round(3)}
    first = np.array(sorted({tuple(p) for p in cars_in_map(lie.tell(scene)).round(3)} - honest))
    assert len(first) >= 5
    middle = first.mean(axis=0)
    assert 4.0 < np.hypot(*middle) < 27.0
    driven = scene.peer.pose.copy()
    driven[:2, 3] += [0.0, 1.6]
    peer = replace(scene.peer, pose=driven, message=sent(driven).message)
    later = cars_in_map(lie.tell(replace(scene, peer=peer)))
    np.testing.assert_allclose(later.mean(axis=0), middle, atol=0.9)  # a cell has 0.8 m


def test_no_car_is_invented_without_one_to_copy_or_free_ground(scene):
    rng = np.random.default_rng(0)
    assert InventedCar(rng).tell(replace(scene, peer_alone=Detections.empty())) is None
    assert InventedCar(rng).tell(replace(scene, ego=sent(np.eye(4), seen=False))) is None
    crowded = np.full(GRID.shape, 0.5, np.float32)
    assert InventedCar(rng).tell(replace(scene, ego_occupancy=crowded)) is None


def test_no_car_is_invented_beyond_the_peers_map(scene):
    lie = InventedCar(np.random.default_rng(0))
    assert lie.tell(scene) is not None
    far = scene.peer.pose.copy()
    far[:2, 3] += 200.0
    peer = replace(scene.peer, pose=far)
    assert lie.tell(replace(scene, peer=peer)) is None
    assert np.hypot(*(invert(far) @ np.array([0.0, 0.0, 0.0, 1.0]))[:2]) > 100.0
