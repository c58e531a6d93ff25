# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest stamp of another station that is believed."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.receiver_defaults import CLOCK_TOLERANCE
from quantv2x_ros.nodes.parameters import declare


class ClockTolerance:
    """How far others' clocks may be ahead of a node's."""

    def __init__(self, node: Node) -> None:
        """Declare the parameter.

        Args:
            node: whose parameter and clock.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._node = node
        tolerance = declare(
            node,
            "clock_tolerance",
            CLOCK_TOLERANCE,
            "How far a sweep's stamp may lie in the future by this node's clock [s].",
            low=0.0,
            high=60.0,
        )
        self._tolerance_ns = round(1e9 * tolerance)

    @property
    def latest_ns(self) -> int:
        """The newest stamp that is believed now, nanoseconds."""
        return int(self._node.get_clock().now().nanoseconds) + self._tolerance_ns
