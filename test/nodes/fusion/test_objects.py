# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections and what is known of their motion, in the frame of the ego's clouds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from std_msgs.msg import Header

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker
from quantv2x_ros.nodes.fusion import objects

BOXES = np.array([[10, 2, -1, 4, 2, 1.5, 0.3], [-5, 8, -1, 9, 2.5, 3, 0.0]], np.float32)
FOUND = Detections(BOXES, np.array([0.8, 0.6], np.float32), np.array([1, 3], np.int32))


def frame_of(tracked=None, to_frame=None):
    return objects.FusedFrame(
        header=Header(frame_id="lidar"),
        classes=["vehicle", "pedestrian", "truck"],
        detections=FOUND,
        stations=[1, 2],
        contributors=[
            [objects.Contributor(1, 0), objects.Contributor(2, 40_000_000)],
            [objects.Contributor(2, 40_000_000)],
        ],
        to_frame=to_frame,
        tracked=tracked,
    )


def tracked_twice():
    """Both move by a metre along x of the frame in a tenth of a second."""
    tracker = ObjectTracker()
    before = BOXES.copy()
    before[:, 0] -= 1.0
    tracker.update(Detections(before, FOUND.scores, FOUND.labels), np.eye(4), 5.0)
    return tracker.update(FOUND, np.eye(4), 5.1)


def test_without_tracks_the_score_is_all_that_is_known():
    first, second = objects.objects_message(frame_of()).objects
    assert (first.track_id, first.existence_probability) == (0, pytest.approx(0.8))
    assert not any(second.motion_covariance)
    assert (second.velocity.x, second.front_confirmed) == (0.0, False)


def test_ids_velocity_and_covariance_are_told():
    tracked = tracked_twice()
    first, second = objects.objects_message(frame_of(tracked)).objects
    assert (first.track_id, second.track_id) == (1, 2)
    assert first.velocity.x > 5.0
    np.testing.assert_allclose(
        np.reshape(first.motion_covariance, (4, 4)), tracked.covariances[0], rtol=1e-5
    )
    assert first.existence_probability > 0.8
    assert first.front_confirmed
    assert first.track_age.nanosec == pytest.approx(10**8, abs=1000)
    assert second.age.nanosec == 40_000_000


def test_motion_is_told_in_the_frame_of_the_header():
    """The frame of the boxes is turned by a right angle against that of the clouds."""
    turn = matrix_from_v2x([0.0, 0.0, 0.0, 0.0, 90.0, 0.0])
    tracked = tracked_twice()
    (plain, _), (turned, _) = (
        objects.objects_message(frame_of(tracked, to_frame)).objects for to_frame in (None, turn)
    )
    assert turned.velocity.y == pytest.approx(plain.velocity.x)
    assert turned.velocity.x == pytest.approx(-plain.velocity.y, abs=1e-6)
    before, after = (np.reshape(m.motion_covariance, (4, 4)) for m in (plain, turned))
    assert after[1, 1] == pytest.approx(before[0, 0], rel=1e-5)
    assert after[1, 3] == pytest.approx(before[0, 2], rel=1e-5)


@pytest.mark.skipif(objects.VISION_MESSAGE is None, reason="vision_msgs is not installed")
def test_detections_of_vision_msgs_have_ids_and_covariance():
    tracked = tracked_twice()
    first, second = objects.vision_message(frame_of(tracked)).detections
    assert (first.id, second.id) == ("1", "2")
    covariance = np.reshape(first.results[0].pose.covariance, (6, 6))
    np.testing.assert_allclose(covariance[:2, :2], tracked.covariances[0, :2, :2])
    assert not objects.vision_message(frame_of()).detections[0].id
