# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Autoware's messages say what is known of each object, in Autoware's terms."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")
pytest.importorskip("autoware_perception_msgs", reason="autoware_perception_msgs is not installed")

from autoware_perception_msgs.msg import DetectedObjectKinematics, ObjectClassification, Shape
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker
from quantv2x_ros.nodes.fusion import autoware_objects
from test.nodes.fusion.test_objects import BOXES, FOUND, frame_of, tracked_twice


def test_detections_have_class_shape_and_velocity_along_the_heading():
    tracked = tracked_twice()
    message = autoware_objects.detected_objects(frame_of(tracked))
    first, second = message.objects
    assert message.header.frame_id == "lidar"
    assert first.classification[0].label == ObjectClassification.CAR
    assert second.classification[0].label == ObjectClassification.TRUCK
    assert first.shape.type == Shape.BOUNDING_BOX
    assert (first.shape.dimensions.x, second.shape.dimensions.x) == (4.0, 9.0)
    twist = first.kinematics.twist_with_covariance.twist.linear
    speed = np.hypot(*tracked.velocities[0])
    assert twist.x == pytest.approx(speed * np.cos(0.3), rel=0.05)
    assert twist.y == pytest.approx(-speed * np.sin(0.3), rel=0.05)
    assert first.kinematics.orientation_availability == DetectedObjectKinematics.AVAILABLE


def test_without_motion_the_front_is_not_sure_and_nothing_is_made_up():
    kinematics = autoware_objects.detected_objects(frame_of()).objects[0].kinematics
    assert kinematics.orientation_availability == DetectedObjectKinematics.SIGN_UNKNOWN
    assert not kinematics.has_twist
    assert not kinematics.has_position_covariance
    with pytest.raises(ValueError, match="set track"):
        autoware_objects.tracked_objects(frame_of())


def test_tracks_keep_their_ids_and_say_what_stands():
    tracker = ObjectTracker()
    uuids = []
    for seconds in (1.0, 1.1, 1.2):
        tracked = tracker.update(Detections(BOXES, FOUND.scores, FOUND.labels), np.eye(4), seconds)
        message = autoware_objects.tracked_objects(frame_of(tracked))
        uuids.append([bytes(item.object_id.uuid) for item in message.objects])
    assert uuids[0] == uuids[1] == uuids[2]
    assert len(set(uuids[0])) == 2
    assert all(item.kinematics.is_stationary for item in message.objects)
    assert message.objects[0].existence_probability > 0.9


def test_they_are_the_messages_of_that_package():
    for message in (
        autoware_objects.detected_objects(frame_of(tracked_twice())),
        autoware_objects.tracked_objects(frame_of(tracked_twice())),
    ):
        again = deserialize_message(serialize_message(message), type(message))
        assert len(again.objects) == 2
