# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections and tracks as Autoware's messages, where autoware_perception_msgs is installed."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovariance, TwistWithCovariance, Vector3

from quantv2x_ros.nodes.fusion.objects import FusedFrame, box_size, pose_covariance

try:
    from autoware_perception_msgs import msg as _installed

    MESSAGES: Any = _installed
except ImportError:  # an optional package
    MESSAGES = None

#: Which run an id is of: trackers of two runs, or of two vehicles, must not share one.
_RUN = os.urandom(8)
#: Slower than this an object is stationary, m/s.
_STATIONARY = 0.5


def detected_objects(frame: FusedFrame) -> Any:
    """Return a frame's detections as ``DetectedObjects``.

    A heading whose front the motion does not confirm is ``SIGN_UNKNOWN``.
    """
    message = MESSAGES.DetectedObjects(header=frame.header)
    for row in range(len(frame.detections)):
        kinematics = MESSAGES.DetectedObjectKinematics(
            pose_with_covariance=_pose(frame, row),
            has_position_covariance=frame.tracked is not None,
            orientation_availability=_orientation(frame, row),
            twist_with_covariance=_twist(frame, row),
            has_twist=frame.tracked is not None,
            has_twist_covariance=frame.tracked is not None,
        )
        message.objects.append(
            MESSAGES.DetectedObject(
                existence_probability=_existence(frame, row),
                classification=[_class(frame, row)],
                kinematics=kinematics,
                shape=_shape(frame, row),
            )
        )
    return message


def tracked_objects(frame: FusedFrame) -> Any:
    """Return what is known of a frame's objects over time as ``TrackedObjects``.

    Raises:
        ValueError: for a frame whose objects are not followed.
    """
    if frame.tracked is None:
        raise ValueError("the objects of this frame are not followed; set track")
    message = MESSAGES.TrackedObjects(header=frame.header)
    for row, number in enumerate(frame.tracked.ids):
        kinematics = MESSAGES.TrackedObjectKinematics(
            pose_with_covariance=_pose(frame, row),
            twist_with_covariance=_twist(frame, row),
            orientation_availability=_orientation(frame, row),
            is_stationary=bool(np.hypot(*frame.tracked.velocities[row]) < _STATIONARY),
        )
        tracked = MESSAGES.TrackedObject(
            existence_probability=_existence(frame, row),
            classification=[_class(frame, row)],
            kinematics=kinematics,
            shape=_shape(frame, row),
        )
        tracked.object_id.uuid = np.frombuffer(_RUN + int(number).to_bytes(8, "big"), np.uint8)
        message.objects.append(tracked)
    return message


def _existence(frame: FusedFrame, row: int) -> float:
    if frame.tracked is None:
        return float(frame.detections.scores[row])
    return float(frame.tracked.existence[row])


def _class(frame: FusedFrame, row: int) -> Any:
    kinds = MESSAGES.ObjectClassification
    known = {"vehicle": kinds.CAR, "pedestrian": kinds.PEDESTRIAN, "truck": kinds.TRUCK}
    name = frame.classes[int(frame.detections.labels[row]) - 1]
    score = float(frame.detections.scores[row])
    return kinds(label=known.get(name, kinds.UNKNOWN), probability=score)


def _shape(frame: FusedFrame, row: int) -> Any:
    box = frame.detections.boxes[row]
    return MESSAGES.Shape(type=MESSAGES.Shape.BOUNDING_BOX, dimensions=box_size(box))


def _pose(frame: FusedFrame, row: int) -> PoseWithCovariance:
    pose = frame.pose_of(frame.detections.boxes[row])
    return PoseWithCovariance(pose=pose, covariance=pose_covariance(frame, row))


def _orientation(frame: FusedFrame, row: int) -> int:
    kinds = MESSAGES.DetectedObjectKinematics
    is_sure = frame.tracked is not None and frame.tracked.facing[row]
    return int(kinds.AVAILABLE if is_sure else kinds.SIGN_UNKNOWN)


def _twist(frame: FusedFrame, row: int) -> TwistWithCovariance:
    """Return the velocity in the object's own axes, as Autoware has it: x along the heading."""
    message = TwistWithCovariance()
    if frame.tracked is None:
        return message
    yaw = float(frame.detections.boxes[row, 6])
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, s], [-s, c]])
    along, across = turn @ frame.tracked.velocities[row]
    message.twist.linear = Vector3(x=float(along), y=float(across), z=0.0)
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = turn @ frame.tracked.covariances[row, 2:, 2:] @ turn.T
    message.covariance = covariance.ravel()
    return message
