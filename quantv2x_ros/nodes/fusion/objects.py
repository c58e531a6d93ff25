# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections as ``DetectedObject3DArray`` and, where installed, ``vision_msgs``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import Header

from quantv2x_msgs.msg import DetectedObject3D, DetectedObject3DArray
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.pose import matrix_from_quaternion
from quantv2x_ros.core.tracking.object_tracker import TrackedObjects
from quantv2x_ros.nodes.common.conversions import pose_to_message

try:
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    VISION_MESSAGE: Any = Detection3DArray
except ImportError:  # an optional package
    VISION_MESSAGE = None

#: Classes that the message has a constant for, by their name in a bundle.
_CLASS_IDS = {
    "vehicle": DetectedObject3D.CLASS_VEHICLE,
    "pedestrian": DetectedObject3D.CLASS_PEDESTRIAN,
    "truck": DetectedObject3D.CLASS_TRUCK,
}


@dataclass(frozen=True)
class Contributor:
    """A station that took part in a detection.

    Attributes:
        station_id: its id.
        age_ns: age of its sweep against the ego's, nanoseconds.
    """

    station_id: int
    age_ns: int


@dataclass(frozen=True)
class FusedFrame:
    """The detections of a fused frame, and who contributed.

    Attributes:
        header: stamp of the ego's sweep and its LiDAR frame.
        classes: names of the classes; a detection's label is the 1-based index.
        detections: boxes as the model sees them, descending score.
        stations: stations that were fused, the ego first.
        contributors: for each detection those whose features took part in it, or the one that
            reported it.
        to_frame: (4, 4) transform from the frame of the boxes to that of the header; None where
            they are the same.
        tracked: what is known of each detection from the frames before; None where objects are
            not followed.
    """

    header: Header
    classes: Sequence[str]
    detections: Detections
    stations: Sequence[int]
    contributors: Sequence[Sequence[Contributor]]
    to_frame: npt.NDArray[np.float64] | None = None
    tracked: TrackedObjects | None = None

    def pose_of(self, box: Sequence[float]) -> Pose:
        """Return centre and heading of one of the boxes, in the frame of the header."""
        return moved_pose(box_pose(box), self.to_frame)


def objects_message(frame: FusedFrame) -> DetectedObject3DArray:
    """Return the detections as this package's message."""
    message = DetectedObject3DArray(header=frame.header, contributing_stations=frame.stations)
    found = frame.detections
    for box, score, label, contributors in zip(
        found.boxes, found.scores, found.labels, frame.contributors, strict=True
    ):
        name = frame.classes[int(label) - 1]
        message.objects.append(
            DetectedObject3D(
                **_motion(frame, len(message.objects), float(score)),
                class_id=_CLASS_IDS.get(name, DetectedObject3D.CLASS_UNKNOWN),
                class_name=name,
                score=float(score),
                pose=frame.pose_of(box),
                size=box_size(box),
                contributing_stations=[each.station_id for each in contributors],
                age=_duration(max((each.age_ns for each in contributors), default=0)),
            )
        )
    return message


def _motion(frame: FusedFrame, row: int, score: float) -> dict[str, Any]:
    """Return the fields that tell what is known from the frames before."""
    tracked = frame.tracked
    if tracked is None:
        return {"existence_probability": score}
    turn = np.eye(3) if frame.to_frame is None else frame.to_frame[:3, :3]
    velocity = turn @ (*tracked.velocities[row], 0.0)
    both = np.kron(np.eye(2), turn[:2, :2])
    covariance = both @ tracked.covariances[row] @ both.T
    return {
        "track_id": int(tracked.ids[row]),
        "velocity": Vector3(x=velocity[0], y=velocity[1], z=velocity[2]),
        "motion_covariance": covariance.ravel().astype(np.float32),
        "existence_probability": float(tracked.existence[row]),
        "front_confirmed": bool(tracked.facing[row]),
        "track_age": _duration(round(1e9 * tracked.ages[row])),
    }


def vision_message(frame: FusedFrame) -> Any:
    """Return the detections as ``vision_msgs/Detection3DArray``; only where it is installed."""
    message = Detection3DArray(header=frame.header)
    found = frame.detections
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        detection = Detection3D(header=frame.header)
        if frame.tracked is not None:
            detection.id = str(frame.tracked.ids[len(message.detections)])
        detection.bbox.center = frame.pose_of(box)
        detection.bbox.size = box_size(box)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = frame.classes[int(label) - 1]
        hypothesis.hypothesis.score = float(score)
        hypothesis.pose.pose = frame.pose_of(box)
        hypothesis.pose.covariance = pose_covariance(frame, len(message.detections))
        detection.results.append(hypothesis)
        message.detections.append(detection)
    return message


def pose_covariance(frame: FusedFrame, row: int) -> npt.NDArray[np.float64]:
    """Return a detection's covariance as ROS has it, (36,); zeros where it is not known."""
    covariance = np.zeros((6, 6))
    if frame.tracked is not None:
        turn = np.eye(2) if frame.to_frame is None else frame.to_frame[:2, :2]
        covariance[:2, :2] = turn @ frame.tracked.covariances[row, :2, :2] @ turn.T
    return covariance.ravel()


def boxes_from_message(message: DetectedObject3DArray) -> npt.NDArray[np.float32]:
    """Return a message's boxes (N, 7): x, y, z, l, w, h, yaw."""
    rows = [
        (
            item.pose.position.x,
            item.pose.position.y,
            item.pose.position.z,
            item.size.x,
            item.size.y,
            item.size.z,
            2.0 * math.atan2(item.pose.orientation.z, item.pose.orientation.w),
        )
        for item in message.objects
    ]
    return np.array(rows, np.float32).reshape(-1, 7)


def box_pose(box: Sequence[float]) -> Pose:
    """Return centre and heading of a box [x, y, z, l, w, h, yaw]."""
    x, y, z, half = float(box[0]), float(box[1]), float(box[2]), float(box[6]) / 2
    return Pose(
        position=Point(x=x, y=y, z=z),
        orientation=Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half)),
    )


def moved_pose(pose: Pose, matrix: npt.NDArray[np.float64] | None) -> Pose:
    """Return a pose in another frame.

    Args:
        pose: pose in the first frame.
        matrix: (4, 4) transform to the second frame; None where they are the same.
    """
    if matrix is None:
        return pose
    place, turn = pose.position, pose.orientation
    own = matrix_from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
    return pose_to_message(matrix @ own)


def box_size(box: Sequence[float]) -> Vector3:
    """Return length, width and height of a box [x, y, z, l, w, h, yaw]."""
    return Vector3(x=float(box[3]), y=float(box[4]), z=float(box[5]))


def _duration(nanoseconds: int) -> Duration:
    seconds, rest = divmod(int(nanoseconds), 1_000_000_000)
    return Duration(sec=seconds, nanosec=rest)
