# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pace of a replay: by the clock alone, or also by the boxes of what is played."""

from __future__ import annotations

import struct
import time
from typing import Any

from rclpy.node import Node

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds

#: What belongs to a frame follows its ego's sweep within half the period of 10 Hz, nanoseconds.
_HALF_PERIOD_NS = 50_000_000


class ResultPace:
    """Holds a recording until the boxes of the ego's last sweep are out.

    The player's thread notes and asks; the node's takes the boxes.
    """

    def __init__(self, node: Node, timeout: float) -> None:
        """Subscribe to boxes.

        Args:
            node: node that subscribes to ``objects`` and logs.
            timeout: longest wait for a sweep's boxes, seconds; then the recording goes on.
        """
        self._node = node
        self._timeout = timeout
        self._awaited: tuple[int, int, float] | None = None  # stamp, played time, since
        self.missing = 0
        self._subscription = node.create_subscription(
            DetectedObject3DArray, "objects", self._on_objects, qos.output(), raw=True
        )

    @property
    def has_fusion(self) -> bool:
        """Tell whether a node publishes boxes."""
        return self._node.count_publishers(self._subscription.topic_name) > 0

    def note_sweep(self, message: Any, time_ns: int) -> None:
        """Note that a sweep of the ego was played.

        Args:
            message: the sweep or its indices, as a message or serialized.
            time_ns: played time, nanoseconds.
        """
        stamp = _stamp(message) if isinstance(message, bytes) else nanoseconds(message.header.stamp)
        self._awaited = (stamp, time_ns, time.monotonic())

    def may_play(self, time_ns: int) -> bool:
        """Tell whether a message of this played time, nanoseconds, may be played now."""
        awaited = self._awaited
        if awaited is None or time_ns < awaited[1] + _HALF_PERIOD_NS:
            return True
        if time.monotonic() - awaited[2] < self._timeout:
            return False
        self.missing += 1
        self._awaited = None
        self._node.get_logger().warning(
            f"no boxes within {self._timeout:g} s for the ego's sweep of {awaited[0] / 1e9:.3f} s;"
            " playing on. The diagnostics of encoder and fusion say what became of it"
        )
        return True

    def _on_objects(self, content: bytes) -> None:
        awaited = self._awaited
        if awaited is not None and _stamp(content) >= awaited[0]:
            self._awaited = None


def _stamp(content: bytes) -> int:
    """Return the stamp of a serialized message that begins with its header, nanoseconds."""
    order = "<" if content[1] & 1 else ">"
    seconds, fraction = struct.unpack_from(order + "iI", content, 4)
    return int(seconds) * 1_000_000_000 + int(fraction)
