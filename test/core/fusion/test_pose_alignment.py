# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A peer's wrong pose is found by what both see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.pose_alignment import AlignmentSettings, align_peer
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x

PEER_TO_EGO = matrix_from_v2x([25.0, -8.0, 1.0, 0.3, 130.0, -0.2])
SETTINGS = AlignmentSettings()


def scene(count, seed=0, noise=0.0):
    """What both see: detections of the ego and of the peer, each in its own frame."""
    rng = np.random.default_rng(seed)
    boxes = np.zeros((count, 7), np.float32)
    boxes[:, 0] = rng.uniform(-20, 50, count)
    boxes[:, 1] = rng.uniform(-30, 25, count)
    boxes[:, 3:6] = [4.5, 1.9, 1.6]
    labels = np.ones(count, np.int32)
    scores = np.full(count, 0.8, np.float32)
    told = transform_boxes(boxes, invert(PEER_TO_EGO))
    told[:, :2] += rng.normal(0, noise, (count, 2)).astype(np.float32)
    return Detections(boxes, scores, labels), Detections(told, scores, labels)


def displaced(dx, dy, degrees):
    """The peer's pose with an error: a shift, and a turn about the peer."""
    angle = np.radians(degrees)
    error = np.eye(4)
    error[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = PEER_TO_EGO[:2, 3]
    error[:2, 3] = centre + np.array([dx, dy]) - error[:2, :2] @ centre
    return error @ PEER_TO_EGO


def error_at_ego(pose):
    """Largest displacement within 20 m of the ego, metres."""
    points = np.array([[20, 0, 0, 1], [-20, 0, 0, 1], [0, 20, 0, 1], [0, -20, 0, 1]], float)
    gap = (pose @ invert(PEER_TO_EGO) - np.eye(4)) @ points.T
    return float(np.hypot(gap[0], gap[1]).max())


def error_at_objects(seen, pose):
    """Displacement of the objects that both see, root mean square, metres."""
    points = np.c_[seen.boxes[:, :3], np.ones(len(seen))].T
    gap = (pose @ invert(PEER_TO_EGO) - np.eye(4)) @ points
    return float(np.sqrt((gap[0] ** 2 + gap[1] ** 2).mean()))


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.integers(12, 25))
def test_an_error_is_taken_away_where_enough_is_seen_by_both(dx, dy, degrees, count):
    ego, peer = scene(count, seed=count, noise=0.1)
    wrong = displaced(dx, dy, degrees)
    result = align_peer(ego, peer, wrong, SETTINGS)
    if result.pairs:
        assert error_at_ego(result.peer_to_ego) < 0.25
        assert result.shift == pytest.approx(np.hypot(dx, dy), abs=0.25)
    else:
        assert error_at_objects(ego, wrong) < 0.5, "what is left alone hardly moves the objects"


def test_height_and_tilt_stay_as_they_were():
    ego, peer = scene(10)
    result = align_peer(ego, peer, displaced(0.7, 0.3, 0.5), SETTINGS)
    assert result.pairs == 10
    np.testing.assert_allclose(result.peer_to_ego[2], PEER_TO_EGO[2], atol=1e-12)


def test_a_good_pose_is_left_alone():
    ego, peer = scene(15, noise=0.2)
    result = align_peer(ego, peer, PEER_TO_EGO, SETTINGS)
    assert result.pairs == 0
    np.testing.assert_array_equal(result.peer_to_ego, PEER_TO_EGO)


def test_objects_that_only_one_sees_do_not_mislead():
    ego, peer = scene(20, noise=0.1)
    ego, peer = ego.select(np.arange(14)), peer.select(np.arange(6, 20))
    result = align_peer(ego, peer, displaced(0.6, -0.5, 0.4), SETTINGS)
    assert result.pairs >= 8
    assert error_at_ego(result.peer_to_ego) < 0.25


def test_one_object_that_moved_does_not_mislead():
    ego, peer = scene(10, noise=0.05)
    peer.boxes[3, :2] += 2.0
    result = align_peer(ego, peer, displaced(0.6, 0.0, 0.0), SETTINGS)
    assert error_at_ego(result.peer_to_ego) < 0.3


def test_with_too_few_pairs_nothing_is_changed():
    ego, peer = scene(2)
    wrong = displaced(0.5, 0.0, 0.0)
    result = align_peer(ego, peer, wrong, SETTINGS)
    assert result.pairs == 0
    np.testing.assert_array_equal(result.peer_to_ego, wrong)
    nothing = align_peer(Detections.empty(), Detections.empty(), wrong, SETTINGS)
    assert nothing.pairs == 0


def test_objects_of_other_classes_are_no_pairs():
    ego, peer = scene(6)
    other = Detections(peer.boxes, peer.scores, np.full(6, 2, np.int32))
    assert align_peer(ego, other, displaced(0.7, 0, 0), SETTINGS).pairs == 0


def test_weak_detections_take_no_part():
    ego, peer = scene(6)
    weak = Detections(peer.boxes, np.full(6, 0.1, np.float32), peer.labels)
    assert align_peer(ego, weak, displaced(0.7, 0, 0), SETTINGS).pairs == 0


def test_a_scene_of_another_place_gains_no_trust():
    ego, _ = scene(12, seed=1)
    _, peer = scene(12, seed=2)
    result = align_peer(ego, peer, PEER_TO_EGO, SETTINGS)
    assert error_at_ego(result.peer_to_ego) < 3.0, "the prior holds it back"


@pytest.mark.parametrize(
    "change", [{"position_sigma": 0.0}, {"gate": -1.0}, {"min_pairs": 0}, {"yaw_sigma": 0.0}]
)
def test_settings_are_validated(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        AlignmentSettings(**change)
