# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The levelling of the own clouds by an encoder in another process."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from quantv2x_ros.core.geometry.pose import Matrix, PoseError
from quantv2x_ros.core.placement.levelling import LEVEL_SUFFIX
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds, transform_from_message

#: Sweeps whose transform is remembered: of more than the oldest that is fused.
_KEPT = 64


class LevelInput:
    """Keeps the transforms from the own sweeps' levelled frames to those of their clouds."""

    def __init__(self, node: Node) -> None:
        """Subscribe to ``level``.

        Args:
            node: node that subscribes and logs.
        """
        self._node = node
        self._levels: OrderedDict[tuple[int, str], tuple[str, Matrix]] = OrderedDict()
        self._subscription = node.create_subscription(
            TransformStamped, "level", self._on_level, qos.pose_input()
        )
        self.unknown = 0

    def with_level(self, sweep: AgentSweep) -> AgentSweep:
        """Return a sweep whose boxes are given in its cloud's frame.

        One that was levelled or mounted, but whose transform has not come, stays as it is: its
        frame's name says so.
        """
        found = self._levels.get((sweep.stamp_ns, sweep.frame_id))
        if found is not None:
            frame_id, to_frame = found
            return replace(sweep, frame_id=frame_id, to_frame=to_frame)
        if sweep.frame_id.endswith(LEVEL_SUFFIX):
            self.unknown += 1
            self._node.get_logger().warning(
                f"objects are in {sweep.frame_id} and not in the LiDAR's frame: the encoder's "
                "transform between them has not come on the topic level; connect it, or start the "
                "encoder with level:=false",
                throttle_duration_sec=10.0,
            )
        return sweep

    def _on_level(self, message: TransformStamped) -> None:
        try:
            to_frame = transform_from_message(message.transform)
        except PoseError as error:
            self._node.get_logger().warning(
                f"transform on level to {message.child_frame_id}: {error}",
                throttle_duration_sec=10.0,
            )
            return
        key = (nanoseconds(message.header.stamp), message.child_frame_id)
        self._levels[key] = message.header.frame_id, to_frame
        while len(self._levels) > _KEPT:
            self._levels.popitem(last=False)
