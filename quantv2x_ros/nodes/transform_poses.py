# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses from TF, by tf2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.time import Time

from quantv2x_ros.core.mounting import covariance_of
from quantv2x_ros.core.pose import PoseError, matrix_from_quaternion
from quantv2x_ros.core.pose_buffer import (
    NO_POSE,
    POSE_NOT_YET,
    POSE_TOO_NEW,
    PoseUnavailableError,
)
from quantv2x_ros.nodes.base import BaseNode
from quantv2x_ros.nodes.parameters import ParameterError, declare

try:
    import tf2_ros
except ImportError:  # a part of ROS installations that its PyPI wheels do not have
    tf2_ros = None

Float64 = npt.NDArray[np.float64]

#: Reason for a transform that cannot be a pose.
BAD_TRANSFORM = "pose"


class TransformPoses:
    """Looks the transform from the sensor's frame to the map up; tf2 interpolates."""

    def __init__(self, node: BaseNode, map_frame: str, covariance: Float64) -> None:
        """Prepare.

        Args:
            node: subscribes.
            map_frame: the target.
            covariance: (36,) that every pose is given: TF has none.
        """
        self._node = node
        self._map_frame = map_frame
        self._covariance = covariance
        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = None

    @classmethod
    def declare(cls, node: BaseNode, map_frame: str, used: bool) -> TransformPoses | None:
        """Declare the parameters; return the source where it is to be used.

        Args:
            node: whose parameters.
            map_frame: the target.
            used: whether poses shall come from TF.

        Raises:
            ParameterError: where they shall, but tf2_ros is not installed.
        """
        position = declare(
            node,
            "tf_position_sigma",
            0.1,
            "Standard deviation of positions from tf that others are told [m]; TF has none.",
            low=0.0,
            high=1000.0,
        )
        degrees = declare(
            node,
            "tf_rotation_sigma",
            0.5,
            "Standard deviation of rotations from tf that others are told [degrees].",
            low=0.0,
            high=180.0,
        )
        if not used:
            return None
        if tf2_ros is None:
            raise ParameterError(
                f"parameter pose_source of node {node.get_fully_qualified_name()}: tf needs "
                "tf2_ros, which is not installed here (the PyPI wheels of ROS 2 have none); "
                "install ros-$ROS_DISTRO-tf2-ros-py, or choose pose or odometry"
            )
        return cls(node, map_frame, covariance_of(position, float(np.radians(degrees))))

    def connect(self, on_new: Callable[[], object]) -> None:
        """See `PoseSource.connect`."""

        class Listener(tf2_ros.TransformListener):  # type: ignore[misc, name-defined]
            def callback(self, data: Any) -> None:
                super().callback(data)
                on_new()

            def static_callback(self, data: Any) -> None:
                super().static_callback(data)
                on_new()

        self._listener = Listener(self._buffer, self._node)

    def at(self, stamp_ns: int, frame: str) -> tuple[Float64, Float64]:
        """See `PoseSource.at`."""
        try:
            found = self._buffer.lookup_transform(
                self._map_frame, frame, Time(nanoseconds=stamp_ns)
            ).transform
        except tf2_ros.ExtrapolationException as error:
            raise PoseUnavailableError(self._side(stamp_ns, frame), f"tf2: {error}") from error
        except tf2_ros.TransformException as error:  # unknown or unconnected frames
            raise PoseUnavailableError(NO_POSE, f"tf2: {error}") from error
        position, turn = found.translation, found.rotation
        try:
            matrix = matrix_from_quaternion(
                (position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w)
            )
        except PoseError as error:
            raise PoseUnavailableError(BAD_TRANSFORM, f"transform of {frame}: {error}") from error
        return matrix, self._covariance

    def _side(self, stamp_ns: int, frame: str) -> str:
        """Whether a time is beyond the newest transform, or before the oldest."""
        try:
            latest = self._buffer.get_latest_common_time(self._map_frame, frame).nanoseconds
        except tf2_ros.TransformException:  # cleared: the frames are known, but no transform is
            return NO_POSE
        return POSE_NOT_YET if stamp_ns > latest else POSE_TOO_NEW

    def clear(self) -> None:
        """See `PoseSource.clear`; static transforms stay."""
        self._buffer.clear()

    def sweeps_jumped_back(self, stamp_ns: int) -> None:
        """See `PoseSource.sweeps_jumped_back`; tf2 refuses all that is older until then."""
        self.clear()
