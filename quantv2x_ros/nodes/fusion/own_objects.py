# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The publication of what the ego finds alone, for its encoder to send."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.transport.object_packet import SentObjects, map_id, object_packets
from quantv2x_ros.core.transport.packet_tiles import SweepSource
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.indices_subscription import OWN_OBJECTS
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.fusion.fusion_worker import OwnView


class OwnObjects:
    """Publishes the own view in packets that are not signed yet, while an encoder listens."""

    def __init__(self, node: Node, classes: Sequence[str], map_frame: str) -> None:
        """Create the publisher.

        Args:
            node: node that publishes.
            classes: names of the bundle's classes, from label 1 on.
            map_frame: name of the frame that poses are in.
        """
        self._classes = classes
        self._map_id = map_id(map_frame)
        self._publisher = node.create_publisher(BevIndices, OWN_OBJECTS, qos.own_indices())

    @property
    def is_wanted(self) -> bool:
        """Whether an encoder listens."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, view: OwnView) -> None:
        """Publish what was found in a sweep, the best first."""
        sweep = view.sweep
        source = SweepSource(
            sweep.station_id, sweep.sequence, sweep.stamp_ns, sweep.pose, PoseSpread()
        )
        objects = SentObjects.of(view.detections, view.velocities, self._classes)
        for packet in object_packets(source, objects, self._map_id):
            message = message_of(packet.content(), sweep.stamp_ns, sweep.frame_id)
            self._publisher.publish(message)
