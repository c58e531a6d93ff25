# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks at a running graph with a node of its own that only listens."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.monitoring.statistics import SweepRate
from quantv2x_ros.core.peers.whereabouts import SharedIdError, Whereabouts
from quantv2x_ros.core.transport.object_packet import read_packet
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.doctor.graph import CODEBOOK, INDICES, Connection, Observation, StationHeard
from quantv2x_ros.environment.interruption import signals_held_back
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds
from quantv2x_ros.nodes.common.topic_watch import endpoint_name

NAME = "doctor"


@dataclass(eq=False)
class _Heard:
    """What came of a station's messages."""

    traffic: SweepRate = field(default_factory=SweepRate)
    whereabouts: Whereabouts = field(default_factory=Whereabouts)


class GraphProbe(Node):  # type: ignore[misc]
    """Listens to the air and the diagnostics, and asks the middleware who talks to whom."""

    def __init__(self, **options: Any) -> None:
        """Subscribe.

        Args:
            options: passed on to `rclpy.node.Node`.
        """
        super().__init__(NAME, **options)
        self._stations: defaultdict[int, _Heard] = defaultdict(_Heard)
        self._codebooks: dict[int, tuple[str, int]] = {}
        self._announced: dict[int, set[int]] = defaultdict(set)
        self._shared: dict[int, str] = {}
        self._troubles: dict[str, tuple[int, str]] = {}
        self.create_subscription(BevIndices, INDICES, self._on_indices, qos.indices_input())
        self.create_subscription(Codebook, CODEBOOK, self._on_codebook, qos.latched_input())
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.indices_input()
        )

    def observation(self, seconds: float) -> Observation:
        """Return what was seen.

        Args:
            seconds: how long it has listened.
        """
        seen = Observation(
            domain=int(os.environ.get("ROS_DOMAIN_ID") or 0),
            seconds=seconds,
            nodes=[name for name in self._nodes() if name != self.get_fully_qualified_name()],
            codebooks=dict(self._codebooks),
            shared=self._shared_ids(),
            troubles=dict(self._troubles),
            stations={
                station: _station_heard(heard.traffic, seconds)
                for station, heard in self._stations.items()
            },
        )
        for topic, types in self.get_topic_names_and_types():
            self._look_at(topic, types, seen)
        return seen

    def _shared_ids(self) -> dict[int, str]:
        """Return the ids that more than one station has, and why it seems so."""
        publishers = self.count_publishers(CODEBOOK)
        announced = {
            station: f"station {station} announced itself {len(times)} times, and {publishers} "
            "publish announcements: two stations share this id, or it was started again meanwhile"
            for station, times in self._announced.items()
            if len(times) > 1 and publishers > len(self._announced)
        }
        return {**announced, **self._shared}

    def _nodes(self) -> list[str]:
        return [
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self.get_node_names_and_namespaces()
        ]

    def _look_at(self, topic: str, types: list[str], seen: Observation) -> None:
        """Note who publishes and subscribes, and whether their policies fit."""
        own = self.get_fully_qualified_name()
        publishers = [(endpoint_name(i), i) for i in self.get_publishers_info_by_topic(topic)]
        subscribers = [(endpoint_name(i), i) for i in self.get_subscriptions_info_by_topic(topic)]
        others = [(name, info) for name, info in subscribers if name != own]
        if not others and all(name == own for name, _ in publishers):
            return
        seen.types[topic] = types
        seen.publishers[topic] = [name for name, _ in publishers if name != own]
        seen.subscribers[topic] = [name for name, _ in others]
        for publisher, offered in publishers:
            for subscriber, wanted in others:
                verdict, reason = qos_check_compatible(offered.qos_profile, wanted.qos_profile)
                problem = reason.strip() if verdict == QoSCompatibility.ERROR else ""
                kinds = (offered.topic_type, wanted.topic_type)
                seen.connections.append(Connection(topic, publisher, subscriber, problem, *kinds))

    def _on_indices(self, message: BevIndices) -> None:
        try:
            packet = read_packet(message.packet)
        except PacketError as error:
            warning = int.from_bytes(DiagnosticStatus.WARN, "little")
            self._troubles[INDICES] = (warning, str(error))
            return
        station, heard, now = packet.station_id, self._stations[packet.station_id], time.monotonic()
        heard.traffic.hear(packet.sequence, len(message.packet), now)
        sweep = packet.stamp_ns, packet.pose[:3, 3], now
        try:
            heard.whereabouts.check(station, *sweep)
        except SharedIdError as error:
            self._shared[station] = str(error)
        else:
            heard.whereabouts.note(*sweep)

    def _on_codebook(self, message: Codebook) -> None:
        model = f"{message.bundle_name} {message.bundle_version}"
        self._codebooks[message.station_id] = (model, message.format_id)
        self._announced[message.station_id].add(nanoseconds(message.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = int.from_bytes(status.level, "little")
            if level != int.from_bytes(DiagnosticStatus.OK, "little"):
                self._troubles[status.name] = (level, status.message)


def _station_heard(traffic: SweepRate, seconds: float) -> StationHeard:
    return StationHeard(traffic.sweeps, traffic.sweeps / seconds, traffic.mean_bytes)


def observe(seconds: float, progress: Callable[[float], object]) -> Observation:
    """Look at the graph of this domain.

    Args:
        seconds: how long to listen; discovery alone takes up to two.
        progress: called with the share of the time that has passed.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        probe = GraphProbe()
        executor = SingleThreadedExecutor()
        executor.add_node(probe)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            with signals_held_back():
                executor.spin_once(timeout_sec=0.1)
            progress(passed / seconds)
        seen = probe.observation(seconds)
        probe.destroy_node()
        executor.shutdown()
        return seen
    finally:
        rclpy.try_shutdown()
