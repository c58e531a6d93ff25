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
from typing import Any, ClassVar

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.channel.channel_model import ChannelModel, flip_bits
from quantv2x_ros.core.transport.object_packet import read_packet
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.graph.parameters.channel import ChannelParameters
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode

#: Messages on their way at a time; further ones are dropped.
MAX_PENDING = 10_000


class ChannelNode(BaseNode):
    """Simulates a bad radio channel between ``/v2x/bev_indices_sent`` and ``/v2x/bev_indices``.

    Delays run in real time, whatever the clock. What does not arrive is counted by reason in the
    diagnostics; damage hits packets, so that receivers see it by their checksum.
    """

    defaults: ClassVar[ChannelParameters] = ChannelParameters()
    parameters: ChannelParameters

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
        """Prepare to deliver."""
        self._publisher = self.create_publisher(
            BevIndices,
            "/v2x/bev_indices",
            qos.channel_output(),
        )

    def activate(self) -> None:
        """Begin to pass messages; each activation makes the same random decisions."""
        super().activate()
        self._model = ChannelModel(self.parameters.settings, self.parameters.seed)
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

    def _on_message(self, message: BevIndices) -> None:
        data = bytes(message.packet)
        try:
            packet = read_packet(data)
        except PacketError as error:
            self.drop(error.reason, str(error))
            return
        station = packet.station_id
        before = self._model.counts.copy()
        deliveries = self._model.send(station, len(data), time.monotonic())
        if not deliveries:
            (reason,) = (self._model.counts - before).keys() - {"sent"}
            self.drop(reason, f"sweep {packet.sequence} of station {station}")
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
    """Return a message with flipped bits in its packet."""
    if not bits:
        return message
    packet = array("B", flip_bits(message.packet.tobytes(), bits))
    return BevIndices(header=message.header, packet=packet)
