# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The source of an agent's pose: a topic with poses or odometry, or TF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from std_msgs.msg import Header

from quantv2x_ros.core.geometry.pose import covariance_of, extrinsics_matrix, sensor_pose
from quantv2x_ros.core.geometry.pose_buffer import PoseBuffer
from quantv2x_ros.graph.parameters.encoder import PoseParameters
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import (
    MessageRefusedError,
    nanoseconds,
    pose_from_message,
)
from quantv2x_ros.nodes.encoder.transform_tree import TransformTree

Float64 = npt.NDArray[np.float64]


class TransformPoses:
    """Poses from TF: the transform from the sensor's frame to the map; tf2 interpolates."""

    def __init__(self, tree: TransformTree, map_frame: str, covariance: Float64) -> None:
        """Store the parts.

        Args:
            tree: transforms; its owner subscribes.
            map_frame: name of the map frame.
            covariance: (36,) covariance that every pose is given, since TF has none.
        """
        self._tree = tree
        self._map_frame = map_frame
        self._covariance = covariance

    def connect(self, on_new: Callable[[], object]) -> None:
        """See `PoseSource.connect`; the tree listens by itself."""

    def at(self, stamp_ns: int, frame: str) -> tuple[Float64, Float64]:
        """See `PoseSource.at`."""
        return self._tree.lookup(self._map_frame, frame, stamp_ns), self._covariance

    def clear(self) -> None:
        """See `PoseSource.clear`; static transforms stay."""
        self._tree.clear()

    def sweeps_jumped_back(self, stamp_ns: int) -> None:
        """See `PoseSource.sweeps_jumped_back`; tf2 refuses all that is older until then."""
        self.clear()


class PoseSource(Protocol):
    """A source of an agent's pose at any time of the recent past."""

    def connect(self, on_new: Callable[[], object]) -> None:
        """Subscribe; ``on_new`` is called whenever new poses are known."""

    def at(self, stamp_ns: int, frame: str) -> tuple[Float64, Float64]:
        """Return the sensor-to-map pose (4, 4) and its covariance (36,).

        Args:
            stamp_ns: time, nanoseconds.
            frame: name of the sensor's frame.

        Raises:
            PoseUnavailableError: where it is not known.
        """

    def clear(self) -> None:
        """Forget everything, as after a jump in time."""

    def sweeps_jumped_back(self, stamp_ns: int) -> None:
        """Forget poses after this time, to which the sweeps' time has jumped back."""


def create_pose_source(
    node: BaseNode, parameters: PoseParameters, tree: TransformTree, map_frame: str, name: str
) -> PoseSource:
    """Return the source that the parameters choose.

    Args:
        node: subscribes, and counts what is dropped.
        parameters: where poses come from.
        tree: TF as this node sees it.
        map_frame: name of the frame that all poses must be in.
        name: owner of the pose, for errors.

    Raises:
        ValueError: for a parameter that cannot be used, or TF where tf2_ros is not installed.
    """
    source = parameters.pose_source
    extrinsics = extrinsics_matrix(parameters.sensor_mount)
    if source == "tf":
        tree.require("pose_source", "choose pose or odometry")
        rotation_sigma = float(np.radians(parameters.tf_rotation_sigma))
        covariance = covariance_of(parameters.tf_position_sigma, rotation_sigma)
        return TransformPoses(tree, map_frame, covariance)
    kind = Odometry if source == "odometry" else PoseWithCovarianceStamped
    poses = PoseBuffer(max_gap=parameters.pose_max_gap)
    return TopicPoses(node, kind, source, map_frame, poses, extrinsics, name)


class TopicPoses:
    """Poses of one of the two message types, interpolated."""

    def __init__(
        self,
        node: BaseNode,
        message_type: Any,
        topic: str,
        map_frame: str,
        poses: PoseBuffer,
        extrinsics: Float64,
        name: str,
    ) -> None:
        """Store the parts.

        Args:
            node: node that subscribes and counts drops.
            message_type: class PoseWithCovarianceStamped or Odometry.
            topic: name of the topic.
            map_frame: name of the frame that poses must be in.
            poses: buffer that keeps the poses.
            extrinsics: (4, 4) transform from the sensor to the frame whose poses come.
            name: owner of the pose, for errors.
        """
        self._node = node
        self._message_type = message_type
        self._topic = topic
        self._map_frame = map_frame
        self._poses = poses
        self._extrinsics = None if np.array_equal(extrinsics, np.eye(4)) else extrinsics
        self._name = name
        self._on_new: Callable[[], object] = lambda: None

    def connect(self, on_new: Callable[[], object]) -> None:
        """See `PoseSource.connect`."""
        self._on_new = on_new
        self._node.create_subscription(
            self._message_type,
            self._topic,
            self._on_message,
            qos.pose_input(),
        )

    def at(self, stamp_ns: int, frame: str) -> tuple[Float64, Float64]:
        """See `PoseSource.at`."""
        return self._poses.at(stamp_ns)

    def clear(self) -> None:
        """See `PoseSource.clear`."""
        self._poses.clear()

    def sweeps_jumped_back(self, stamp_ns: int) -> None:
        """See `PoseSource.sweeps_jumped_back`; poses that have jumped before them stay."""
        self._poses.jump_back(stamp_ns)

    def _on_message(self, message: PoseWithCovarianceStamped | Odometry) -> None:
        header: Header = message.header
        if header.frame_id != self._map_frame:
            self._node.drop(
                "pose_frame",
                f"{self._topic} in frame {header.frame_id!r}, expected {self._map_frame!r}",
            )
            return
        pose: PoseWithCovariance = message.pose
        try:
            matrix = pose_from_message(pose, self._name)
        except MessageRefusedError as error:
            self._node.drop(error.reason, str(error))
            return
        covariance: npt.ArrayLike = pose.covariance
        if self._extrinsics is not None:
            matrix, covariance = sensor_pose(matrix, covariance, self._extrinsics)
        self._poses.add(nanoseconds(header.stamp), matrix, covariance)
        self._on_new()
