# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Channel node: passes some of the stations' messages from one topic to another."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from array import array
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.channel.channel_model import (
    DELAY_DISTRIBUTIONS,
    ChannelModel,
    ChannelSettings,
    flip_bits,
)
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.parameters import declare

#: Name, largest value, description; the smallest value is 0.
_NUMBERS = (
    ("delay_ms", 10_000.0, "Mean delay [ms]."),
    ("jitter_ms", 10_000.0, "Standard deviation of the delay [ms]."),
    ("loss", 1.0, "Probability that a packet of 1398 bytes is lost, independent of others."),
    ("burst_start", 1.0, "Gilbert-Elliott: probability a packet that the channel turns bad."),
    ("burst_end", 1.0, "Gilbert-Elliott: probability a packet that it turns good again."),
    ("burst_loss", 1.0, "Gilbert-Elliott: probability of loss while it is bad."),
    ("reorder", 1.0, "Probability that a message is held back."),
    ("reorder_ms", 10_000.0, "How long a message is held back [ms]."),
    ("duplicate", 1.0, "Probability that a message arrives twice."),
    ("corrupt", 1.0, "Probability that a bit flips in a packet."),
    ("bit_rate_mbps", 1000.0, "Rate of the shared channel, such as 6 or 27 [Mbit/s]; 0: no limit."),
    ("longest_wait_ms", 10_000.0, "A packet that would wait longer for the air is given up [ms]."),
)


def declare_channel(node: Node) -> ChannelSettings:
    """Declare the parameters and return their values.

    Raises:
        ValueError: for a value that is not allowed.
    """
    defaults = ChannelSettings()
    numbers = {
        name: declare(node, name, float(getattr(defaults, name)), text, low=0.0, high=high)
        for name, high, text in _NUMBERS
    }
    distribution = declare(
        node,
        "delay_distribution",
        defaults.delay_distribution,
        "Distribution of the delay.",
        choices=DELAY_DISTRIBUTIONS,
    )
    others = declare(
        node,
        "other_stations",
        defaults.other_stations,
        "Further stations that share the channel, 10 frames of 400 bytes a second each.",
        low=0,
        high=1000,
    )
    return ChannelSettings(delay_distribution=distribution, other_stations=others, **numbers)


#: Messages on their way at a time; further ones are dropped.
MAX_PENDING = 10_000


class ChannelNode(BaseNode):
    """Simulates a bad radio channel between ``/v2x/bev_indices_sent`` and ``/v2x/bev_indices``.

    Delays run in real time, whatever the clock. What does not arrive is counted by reason in the
    diagnostics; damage hits payloads, so that receivers see it by their checksum.
    """

    def __init__(self, **options: Any) -> None:
        """Create the node; unless its lifecycle is left to others, start to deliver.

        Args:
            options: passed on to `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        super().__init__("channel", **options)
        self._order = itertools.count()
        self._pending: list[tuple[float, int, BevIndices]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.begin()

    def configure(self) -> None:
        """Read the channel's settings."""
        self._settings = declare_channel(self)
        self._seed = declare(
            self, "seed", 0, "Seed of all random decisions.", low=0, high=2**31 - 1
        )
        self._publisher = self.create_publisher(
            BevIndices,
            "/v2x/bev_indices",
            qos.channel_output(),
        )

    def activate(self) -> None:
        """Begin to pass messages; each activation makes the same random decisions."""
        super().activate()
        self._model = ChannelModel(self._settings, self._seed)
        self._stopping = False
        self.create_subscription(
            BevIndices,
            "/v2x/bev_indices_sent",
            self._on_message,
            qos.channel_input(),
        )
        self._thread = threading.Thread(target=self._deliver, name="channel", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop passing messages; those on their way are lost."""
        with self._changed:
            self._stopping = True
            self._pending.clear()
            self._changed.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def cleanup(self) -> None:
        """Forget the channel's settings."""
        self.release("_settings", "_publisher")

    def _on_message(self, message: BevIndices) -> None:
        size = len(message.payload)  # tiles are cut to fit a packet by it; see docs/link.md
        before = self._model.counts.copy()
        deliveries = self._model.send(message.station_id, size, time.monotonic())
        if not deliveries:
            (reason,) = (self._model.counts - before).keys() - {"sent"}
            self.drop(reason, f"sweep {message.sequence} of station {message.station_id}")
            return
        with self._changed:
            for delivery in deliveries:
                if len(self._pending) >= MAX_PENDING:
                    self.drop("overflow", f"{MAX_PENDING} messages are on their way")
                    continue
                arriving = _damaged(message, delivery.flipped_bits)
                heapq.heappush(self._pending, (delivery.time, next(self._order), arriving))
            self._changed.notify()

    def _deliver(self) -> None:
        """Publish every message when it is due."""
        try:
            while (message := self._next()) is not None:
                self._publisher.publish(message)
                self.note_frame({})
        except BaseException as error:  # whatever ends the thread must end the node, too
            self.failure = error

    def _next(self) -> BevIndices | None:
        """Wait for the next message that is due; None once the node ends."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if self._pending and self._pending[0][0] <= now:
                    return heapq.heappop(self._pending)[2]
                self._changed.wait(self._pending[0][0] - now if self._pending else None)
        return None

    def time_jumped_back(self) -> None:
        """Do nothing: the channel runs in real time."""

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return the numbers of messages sent, delivered and lost, by reason."""
        counts = dict(self._model.counts)
        values = {name: str(count) for name, count in counts.items()}
        values["on their way"] = str(len(self._pending))
        return f"passed {counts.get('delivered', 0)} of {counts.get('sent', 0)} messages", values


def _damaged(message: BevIndices, bits: tuple[int, ...]) -> BevIndices:
    """Return a message with flipped bits in its payload.

    Bits beyond the payload are those of the fields around it; they are folded onto it.
    """
    size = 8 * len(message.payload)
    if not bits or not size:
        return message
    copy = BevIndices()
    for name in message.get_fields_and_field_types():
        setattr(copy, name, getattr(message, name))
    copy.payload = array("B", flip_bits(message.payload.tobytes(), [bit % size for bit in bits]))
    return copy
