# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records the demo's topics as a rosbag2 that replay can play."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.data.agent_names import agent_namespace
from quantv2x_ros.data.bag import BagWriter
from quantv2x_ros.graph import absolute
from quantv2x_ros.replay_source import ReplaySource, topic_of


class Recorder:
    """Writes serialized messages as they come; the time in the bag is that of their stamp."""

    def __init__(self, node: Node, bag: BagWriter, source: ReplaySource, root: str) -> None:
        """Subscribe to the sweeps and poses of all agents, the indices and the objects.

        The ego's topics are recorded in its agent's namespace, so that it is told from the peers.

        Args:
            node: whose subscriptions they are.
            bag: where to; closing it remains the caller's.
            source: what is played.
            root: the ego's namespace.
        """
        self._bag = bag
        self.messages = 0
        for agent in source.agents:
            inner = source.namespace(agent)
            outer = agent if source.is_bag else agent_namespace(agent)
            for name, kind in (("points", PointCloud2), ("pose", PoseWithCovarianceStamped)):
                topic = absolute(root, topic_of(inner, name))
                self._add(node, topic, f"/{topic_of(outer, name)}", kind)
        self._add(node, "/v2x/bev_indices", "/v2x/bev_indices", BevIndices)
        self._add(node, absolute(root, "objects"), "/objects", DetectedObject3DArray)

    def _add(self, node: Node, topic: str, recorded: str, kind: Any) -> None:
        package = kind.__module__.split(".")[0]
        self._bag.add_topic(recorded, f"{package}/msg/{kind.__name__}")
        reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        write: Callable[[bytes], None] = partial(self._write, recorded)
        node.create_subscription(kind, topic, write, reliable, raw=True)

    def _write(self, topic: str, data: bytes) -> None:
        order = "<" if data[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)  # every type has a header
        self._bag.write(topic, seconds * 1_000_000_000 + nanoseconds, data)
        self.messages += 1
