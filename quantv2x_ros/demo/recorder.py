# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records the demo's topics as a rosbag2 that replay can play and Foxglove can show."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from quantv2x_msgs.msg import BevIndices, Codebook, DetectedObject3DArray
from quantv2x_ros.data.agent_names import agent_namespace
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.recorded_messages import TRANSFORM_TYPE, serialize_transforms
from quantv2x_ros.data.recording import TRANSFORM_TOPIC
from quantv2x_ros.graph.graph import absolute
from quantv2x_ros.graph.replay_source import ReplaySource, topic_of
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import pose_from_message

#: Where a message's first stamp lies in its CDR: behind the encapsulation, and behind the length of
#: an array where the message is one.
_STAMP, _STAMP_IN_ARRAY = 4, 8

_CODEBOOK = "/v2x/codebook"


class Recorder:
    """Writes serialized messages as they come; the time in the bag is that of their stamp."""

    def __init__(self, node: Node, bag: BagWriter, source: ReplaySource, root: str) -> None:
        """Subscribe to the sweeps and poses of all agents, the indices, and what is made of them.

        The ego's topics are recorded in its agent's namespace, so that it is told from the peers.
        Where the sensors are goes into the bag as transforms, too, for viewers.

        Args:
            node: whose subscriptions they are.
            bag: where to; closing it remains the caller's.
            source: what is played.
            root: the ego's namespace.
        """
        self._bag = bag
        self._poses: dict[str, bytes] = {}
        self._latest = 0  # newest stamp of the recording, nanoseconds
        self._announced: list[bytes] = []
        self.messages = 0
        bag.add_topic(TRANSFORM_TOPIC, TRANSFORM_TYPE)
        for agent in () if source.indices_only else source.agents:
            inner = source.namespace(agent)
            outer = agent if source.is_bag else agent_namespace(agent)
            for name, kind in (("pose", PoseWithCovarianceStamped), ("points", PointCloud2)):
                topic = absolute(root, topic_of(inner, name))
                self._add(node, topic, f"/{topic_of(outer, name)}", kind)
        self._add(node, "/v2x/bev_indices", "/v2x/bev_indices", BevIndices)
        self._add_announcements(node)
        self._add(node, absolute(root, "objects"), "/objects", DetectedObject3DArray)
        self._add(node, absolute(root, "markers"), "/markers", MarkerArray)
        self._add(node, "/diagnostics", "/diagnostics", DiagnosticArray)

    def _add(self, node: Node, topic: str, recorded: str, kind: Any) -> None:
        package = kind.__module__.split(".")[0]
        self._bag.add_topic(recorded, f"{package}/msg/{kind.__name__}")
        reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        place = _STAMP_IN_ARRAY if kind is MarkerArray else _STAMP
        write: Callable[[bytes], None] = partial(self._write, recorded, place)
        if kind is DiagnosticArray:
            write = partial(self._write_now, recorded)
        node.create_subscription(kind, topic, write, reliable, raw=True)

    def _add_announcements(self, node: Node) -> None:
        """Record announcements, which come before the first sweep, as of the first message."""
        self._bag.add_topic(_CODEBOOK, "quantv2x_msgs/msg/Codebook", transient_local=True)
        node.create_subscription(Codebook, _CODEBOOK, self._hear, qos.latched_input(), raw=True)

    def _hear(self, data: bytes) -> None:
        if self._latest:
            self._write_now(_CODEBOOK, data)
        else:
            self._announced.append(data)

    def _write(self, topic: str, place: int, data: bytes) -> None:
        order = "<" if data[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, place)
        stamp = seconds * 1_000_000_000 + nanoseconds
        self._latest = max(self._latest, stamp)
        announced, self._announced = self._announced, []
        for announcement in announced:
            self._write_now(_CODEBOOK, announcement)
        agent, _, name = topic.rpartition("/")
        if name == "pose":
            self._poses[agent] = data
        elif name == "points" and agent in self._poses:
            (length,) = struct.unpack_from(f"{order}I", data, place + 8)
            frame = data[place + 12 : place + 11 + length].decode()  # without the closing zero
            self._write_transform(agent, frame, stamp)
        self._bag.write(topic, stamp, data)
        self.messages += 1

    def _write_now(self, topic: str, data: bytes) -> None:
        """Write what has the time of its node, which need not be the recording's, as of now."""
        if self._latest:
            self._bag.write(topic, self._latest, data)
            self.messages += 1

    def _write_transform(self, agent: str, frame: str, stamp: int) -> None:
        """Write where a sensor is, by the newest pose, which comes before the sweep."""
        pose = deserialize_message(self._poses[agent], PoseWithCovarianceStamped)
        matrix = pose_from_message(pose.pose, agent)
        self._bag.write(TRANSFORM_TOPIC, stamp, serialize_transforms({frame: matrix}, stamp))
        self.messages += 1
