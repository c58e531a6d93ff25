# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node's view of TF, by tf2: one buffer and one listener for all that look transforms up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.time import Time

from quantv2x_ros.core.geometry.pose import Matrix, PoseError, matrix_from_quaternion
from quantv2x_ros.core.geometry.pose_buffer import (
    NO_POSE,
    POSE_NOT_YET,
    POSE_TOO_NEW,
    PoseUnavailableError,
)
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.common.base import BaseNode

try:
    import tf2_ros
except ImportError:  # a part of ROS installations that its PyPI wheels do not have
    tf2_ros = None

#: Reason for a transform that cannot be a pose.
BAD_TRANSFORM = "pose"


class TransformTree:
    """Looks transforms up, interpolated by tf2; it subscribes once a parameter requires it."""

    def __init__(self, node: BaseNode) -> None:
        """Start without a subscription.

        Args:
            node: node that subscribes.
        """
        self._node = node
        self._buffer: Any = None
        self._listener: Any = None

    def require(self, parameter: str, instead: str) -> None:
        """Require transforms.

        Args:
            parameter: name and value of the parameter that requires them.
            instead: value to choose where there is no tf2, for the error.

        Raises:
            ParameterError: where tf2_ros is not installed.
        """
        if tf2_ros is None:
            raise ParameterError(
                f"parameter {parameter} of node {self._node.get_fully_qualified_name()}: tf needs "
                "tf2_ros, which is not installed here (the PyPI wheels of ROS 2 have none); "
                f"install ros-$ROS_DISTRO-tf2-ros-py, or {instead}"
            )
        if self._buffer is None:
            self._buffer = tf2_ros.Buffer()

    def listen(self, on_new: Callable[[], object]) -> None:
        """Subscribe, where transforms are needed; ``on_new`` is called with every message."""
        if self._buffer is None:
            return

        class Listener(tf2_ros.TransformListener):  # type: ignore[misc, name-defined]
            def callback(self, data: Any) -> None:
                super().callback(data)
                on_new()

            def static_callback(self, data: Any) -> None:
                super().static_callback(data)
                on_new()

        self._listener = Listener(self._buffer, self._node)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """Return the transform (4, 4) from the source's frame to the target's.

        Args:
            target: name of the frame to transform into.
            source: name of the frame to transform from.
            stamp_ns: time, nanoseconds.

        Raises:
            PoseUnavailableError: where it is not known.
        """
        try:
            stamp = Time(nanoseconds=stamp_ns)
            found = self._buffer.lookup_transform(target, source, stamp).transform
        except tf2_ros.ExtrapolationException as error:
            side = self._side(target, source, stamp_ns)
            raise PoseUnavailableError(side, f"tf2: {error}") from error
        except tf2_ros.TransformException as error:  # unknown or unconnected frames
            raise PoseUnavailableError(NO_POSE, f"tf2: {error}") from error
        position, turn = found.translation, found.rotation
        try:
            return matrix_from_quaternion(
                (position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w)
            )
        except PoseError as error:
            text = f"transform of {source}: {error}"
            raise PoseUnavailableError(BAD_TRANSFORM, text) from error

    def _side(self, target: str, source: str, stamp_ns: int) -> str:
        """Word whether a time is after the newest transform, or before the oldest."""
        try:
            latest = self._buffer.get_latest_common_time(target, source).nanoseconds
        except tf2_ros.TransformException:  # cleared: the frames are known, but no transform is
            return NO_POSE
        return POSE_NOT_YET if stamp_ns > latest else POSE_TOO_NEW

    def clear(self) -> None:
        """Forget everything, as after a jump in time; static transforms stay."""
        if self._buffer is not None:
            self._buffer.clear()
