# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to running nodes from outside: when a sweep, its indices and its boxes came by."""

from __future__ import annotations

import time

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.benchmark.node_times import FrameTimes
from quantv2x_ros.nodes import qos
from quantv2x_ros.nodes.conversions import nanoseconds

_RELIABLE = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)


class NodeObserver(Node):  # type: ignore[misc]
    """A node that only listens. A sweep's pose leaves replay just before its cloud.

    Attributes:
        frames: what came when, by the sweep's stamp, nanoseconds.
    """

    def __init__(self, station: int) -> None:
        """Subscribe.

        Args:
            station: the ego's.
        """
        super().__init__("benchmark_observer")
        self._station = station
        self.frames: dict[int, FrameTimes] = {}
        self.create_subscription(PoseWithCovarianceStamped, "pose", self._on_pose, _RELIABLE)
        self.create_subscription(BevIndices, "/v2x/bev_indices", self._on_indices, _RELIABLE)
        self.create_subscription(DetectedObject3DArray, "objects", self._on_objects, qos.output())

    def _frame(self, message: object) -> FrameTimes:
        stamp = nanoseconds(message.header.stamp)  # type: ignore[attr-defined]
        return self.frames.setdefault(stamp, FrameTimes())

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self._frame(message).sweep = time.monotonic()

    def _on_indices(self, message: BevIndices) -> None:
        frame, now = self._frame(message), time.monotonic()
        if message.station_id == self._station:
            frame.own_indices = now
        else:
            frame.peers_indices = now

    def _on_objects(self, message: DetectedObject3DArray) -> None:
        frame = self._frame(message)
        frame.objects = time.monotonic()
        frame.agents = len(message.contributing_stations)
