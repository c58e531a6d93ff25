# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of times and poses between messages and core types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    Quaternion,
    Transform,
    Vector3,
)

from quantv2x_ros.core.geometry.pose import (
    PoseError,
    matrix_from_quaternion,
    quaternion_from_matrix,
)

Float64 = npt.NDArray[np.float64]


class MessageRefusedError(ValueError):
    """A message that cannot be used.

    Attributes:
        reason: short constant name to count by: ``codebook``, ``grid``, ``map_frame``, ``format``,
            ``pose``, ``unsigned``, ``unknown_station`` or ``signature``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def nanoseconds(stamp: Time) -> int:
    """Return a message's time as nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def time_message(stamp_ns: int) -> Time:
    """Return nanoseconds as a message's time."""
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def pose_from_message(pose: PoseWithCovariance, name: str) -> Float64:
    """Return a pose as (4, 4) sensor-to-map.

    Args:
        pose: pose as received.
        name: owner of the pose, for the error.

    Raises:
        MessageRefusedError: for a pose or covariance that is not finite, or no unit quaternion.
    """
    position, orientation = pose.pose.position, pose.pose.orientation
    try:
        matrix = matrix_from_quaternion(
            (position.x, position.y, position.z),
            (orientation.x, orientation.y, orientation.z, orientation.w),
        )
    except PoseError as error:
        raise MessageRefusedError("pose", f"pose of {name}: {error}") from error
    if not np.isfinite(pose.covariance).all():
        raise MessageRefusedError("pose", f"pose of {name}: its covariance is not finite")
    return matrix


def pose_to_message(matrix: Float64) -> Pose:
    """Return a (4, 4) transform as a message."""
    x, y, z = (float(value) for value in matrix[:3, 3])
    quaternion = [float(value) for value in quaternion_from_matrix(matrix)]
    return Pose(
        position=Point(x=x, y=y, z=z),
        orientation=Quaternion(x=quaternion[0], y=quaternion[1], z=quaternion[2], w=quaternion[3]),
    )


def transform_to_message(matrix: Float64) -> Transform:
    """Return a (4, 4) transform as the message of TF."""
    pose = pose_to_message(matrix)
    place = pose.position
    return Transform(
        translation=Vector3(x=place.x, y=place.y, z=place.z), rotation=pose.orientation
    )


def transform_from_message(message: Transform) -> Float64:
    """Return a message of TF as a (4, 4) transform.

    Raises:
        PoseError: for values that are not finite, or no unit quaternion.
    """
    place, turn = message.translation, message.rotation
    return matrix_from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
