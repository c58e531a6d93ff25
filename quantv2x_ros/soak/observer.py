# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to a soak: when results come, and what the nodes report."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.soak.report import DropLedger


class SoakObserver(Node):  # type: ignore[misc]
    """A node that only listens, and keeps no more than times.

    Attributes:
        results: when each fused frame came, seconds of the steady clock.
        with_peers: fused frames in which a true peer took part.
        with_invented: fused frames in which an invented one did.
        diagnostics: newest values of each node, by its name.
        drops: what the nodes have dropped, those that have gone included.
    """

    def __init__(self, root: str, invented: range = range(0)) -> None:
        """Subscribe.

        Args:
            root: the ego's namespace.
            invented: ids that are an attacker's.
        """
        super().__init__("soak_observer", namespace=root)
        self.results: list[float] = []
        self._invented = invented
        self.with_peers = 0
        self.with_invented = 0
        self.diagnostics: dict[str, Mapping[str, str]] = {}
        self.drops = DropLedger()
        self.create_subscription(DetectedObject3DArray, "objects", self._on_objects, qos.output())
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def _on_objects(self, message: DetectedObject3DArray) -> None:
        self.results.append(time.monotonic())
        peers = [station in self._invented for station in message.contributing_stations[1:]]
        self.with_peers += not all(peers)
        self.with_invented += any(peers)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self.diagnostics[status.name] = values
            self.drops.note(status.name, values)
