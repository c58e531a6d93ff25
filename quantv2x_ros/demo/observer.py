# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to the running nodes: objects, bytes, rates and latencies, and records if asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.core.monitoring.statistics import RateMeter, SweepRate
from quantv2x_ros.core.transport.object_packet import read_packet
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.nodes.common.conversions import nanoseconds

_RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


class Observer(Node):  # type: ignore[misc]
    """A node that only listens.

    Attributes:
        stations: what is heard of each station.
        rate: fused frames per second lately.
        diagnostics: newest values of each node, by its name.
    """

    def __init__(self, root: str) -> None:
        """Subscribe.

        Args:
            root: the ego's namespace.
        """
        super().__init__("demo_observer", namespace=root)
        self._frames: list[bytes] = []  # as received: this node shares the cores with the others
        self.stations: dict[int, SweepRate] = {}
        self.rate = RateMeter()
        self.first_object_time: float | None = None
        self.last_object_time = 0.0
        self.diagnostics: dict[str, Mapping[str, str]] = {}
        self.create_subscription(
            DetectedObject3DArray, "objects", self._on_objects, _RELIABLE, raw=True
        )
        self.create_subscription(BevIndices, "/v2x/bev_indices", self._on_indices, _RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _RELIABLE)

    @property
    def frames(self) -> int:
        """Number of fused frames."""
        return len(self._frames)

    @property
    def mean_rate(self) -> float:
        """Fused frames per second from the first to the last one; 0 before the second."""
        if self.first_object_time is None or self.frames < 2:
            return 0.0
        return (self.frames - 1) / max(1e-9, self.last_object_time - self.first_object_time)

    def newest(self) -> DetectedObject3DArray | None:
        """Return the newest fused frame."""
        return _read(self._frames[-1]) if self._frames else None

    def objects(self) -> dict[int, DetectedObject3DArray]:
        """Return every fused frame by its stamp, nanoseconds."""
        messages = map(_read, self._frames)
        return {nanoseconds(message.header.stamp): message for message in messages}

    def classes(self) -> Counter[str]:
        """Count the objects of the newest frame by class."""
        newest = self.newest()
        return Counter(item.class_name for item in newest.objects) if newest else Counter()

    def stages(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Return median and 95th percentile [ms] of each stage of each node."""
        table: dict[str, dict[str, tuple[float, float]]] = {}
        for node, values in self.diagnostics.items():
            stages = {
                key.removesuffix(" p50 [ms]"): (
                    float(value),
                    float(values[key.replace(" p50 ", " p95 ")]),
                )
                for key, value in values.items()
                if key.endswith(" p50 [ms]")
            }
            if stages:
                table[node] = stages
        return table

    def drops(self) -> dict[str, str]:
        """Return what was dropped, by node and reason."""
        return {
            f"{node}: {key.removeprefix('dropped: ')}": value
            for node, values in self.diagnostics.items()
            for key, value in values.items()
            if key.startswith("dropped: ")
        }

    def _on_objects(self, content: bytes) -> None:
        now = time.monotonic()
        self._frames.append(content)
        self.rate.tick(now)
        if self.first_object_time is None:
            self.first_object_time = now
        self.last_object_time = now

    def _on_indices(self, message: BevIndices) -> None:
        try:
            packet = read_packet(message.packet)
        except PacketError:
            return  # damaged on its way, and counted by who was to use it
        traffic = self.stations.setdefault(packet.station_id, SweepRate())
        traffic.hear(packet.sequence, len(message.packet), time.monotonic())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {item.key: item.value for item in status.values}


def _read(content: bytes) -> DetectedObject3DArray:
    return deserialize_message(content, DetectedObject3DArray)
