# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A subscription to ``BevIndices`` that costs little in a flood.

Messages are taken as bytes. Whose one is costs a microsecond to see; only those of stations that
may speak are deserialized. Bytes that are no message or no packet are refused here, too, where an
ordinary subscription would end the node with an exception.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.admission import RATE_REFUSALS
from quantv2x_ros.core.transport import packet as packets
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.core.transport.packet_tiles import LEAST_WORK
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.common import qos

#: Where stations hear each other, and where the own encoder is heard, in the own namespace.
AIR, OWN = "/v2x/bev_indices", "own_indices"
#: Where the own fusion node tells the encoder what it finds in own sweeps alone.
OWN_OBJECTS = "own_objects"
#: Messages taken at a time before timers and the clock get their turn, and the time [s] after which
#: they do even if there are fewer: sweeps that are decoded take milliseconds each.
_BATCH, _BATCH_TIME = 256, 0.02
#: Pause after a batch in which some were refused unread, seconds: in a flood it is cheaper to take
#: many at a time than to be woken by each. At least this, and so many times as long as the batch
#: took, so that a flood never gets more than a tenth of a core; what does not fit into the
#: subscription's queue meanwhile is lost in the middleware.
_FLOOD_PAUSE, _REST, _LONGEST_PAUSE = 0.002, 9.0, 0.05
#: Encapsulation, stamp and length of frame_id: what precedes the text.
_START = 16
#: A frame_id longer than this is none, bytes.
_MAX_FRAME_ID = 1024


class IndicesSubscription:
    """Receives messages, checks whether their station may speak, and passes them on.

    Attributes:
        ignored: id of the station whose messages are passed over; None for none.
    """

    def __init__(
        self,
        node: Node,
        may_speak: Callable[[int, float], str],
        spend: Callable[[int, float, float, float], None],
        on_packet: Callable[[HeardPacket], float],
        on_refused: Callable[[str, str, int], object],
        ignored: int | None = None,
        postpone: Callable[[int, int, bytes], bool] = lambda station, stamp_ns, content: False,
        on_ignored: Callable[[bytes], object] = lambda content: None,
        topic: str = AIR,
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            may_speak: called with station id and steady time before anything else is done; returns
                a key of `RATE_REFUSALS`, or nothing.
            spend: called for each message that was not refused with station id, processor time [s],
                share of a sweep, and steady time.
            on_packet: called with each packet that may speak; returns its share of a sweep.
            on_refused: called with reason, text and number of the messages refused here.
            ignored: id of a station whose messages are passed over, such as the own one.
            postpone: called with station id, stamp [ns] and content of each message that may speak;
                returns True where it keeps the message, to give it to `read` later or never.
            on_ignored: called with the messages that are passed over.
            topic: name of the topic: that of the air, or that of the own encoder.
        """
        self.ignored = ignored
        self._on_ignored = on_ignored
        self._may_speak = may_speak
        self._spend = spend
        self._on_packet = on_packet
        self._on_refused = on_refused
        self._postpone = postpone
        self._subscription = node.create_subscription(
            BevIndices,
            topic,
            self._on_bytes,
            qos.indices_input() if topic == AIR else qos.own_indices(),
            raw=True,
        )

    @property
    def topic_name(self) -> str:
        """Return the topic's full name."""
        name: str = self._subscription.topic_name
        return name

    def _on_bytes(self, content: bytes) -> None:
        """Handle a message and those that wait behind it."""
        refused: Counter[str] = Counter()
        take = self._subscription.handle.take_message
        start, spent_before = time.perf_counter(), time.thread_time()
        for left in reversed(range(_BATCH)):
            reason = self._handle(content)
            if reason:
                refused[reason] += 1
            is_over = left == 0 or time.perf_counter() - start > _BATCH_TIME
            taken = None if is_over else take(BevIndices, True)
            if taken is None:
                break
            content = taken[0]
        if refused:
            for reason, count in refused.items():
                self._on_refused(reason, RATE_REFUSALS[reason], count)
            spent = time.thread_time() - spent_before
            time.sleep(min(max(_FLOOD_PAUSE, _REST * spent), _LONGEST_PAUSE))

    def _handle(self, content: bytes) -> str:
        """Take a message; returns a key of `RATE_REFUSALS` where it was refused unread."""
        try:
            station = station_of(content)
            if station == self.ignored:
                self._on_ignored(content)
                return ""
            now = time.monotonic()
            reason = self._may_speak(station, now)
        except PacketError as error:
            self._on_refused(error.reason, f"{len(content)} bytes are no BevIndices: {error}", 1)
            return ""
        if reason:
            return reason
        if not self._postpone(station, stamp_of(content), content):
            self.read(content)
        return ""

    def read(self, content: bytes) -> None:
        """Deserialize a message that may speak, pass it on, and count the time that this took.

        Args:
            content: bytes of a message with a station id, see `station_of`.
        """
        start = time.thread_time()
        work = self._read(content)
        self._spend(station_of(content), time.thread_time() - start, work, time.monotonic())

    def _read(self, content: bytes) -> float:
        """Deserialize a message and pass its packet on; return its share of a sweep."""
        try:
            heard = HeardPacket.read(content)
        except PacketError as error:
            self._on_refused(error.reason, str(error), 1)
            return LEAST_WORK
        return self._on_packet(heard)


def station_of(content: bytes) -> int:
    """Return the station id of a serialized ``BevIndices`` (CDR) without reading the rest.

    Raises:
        PacketError: where it is too short.
    """
    return packets.station_of(content, packet_place(content))


def stamp_of(content: bytes) -> int:
    """Return the time of the sweep in a serialized ``BevIndices`` (CDR), nanoseconds.

    Raises:
        PacketError: where it is too short.
    """
    return packets.stamp_of(content, packet_place(content))


def packet_place(content: bytes | bytearray) -> int:
    """Return where the packet of a serialized ``BevIndices`` (CDR) begins, in bytes.

    Raises:
        PacketError: where it is too short.
    """
    if len(content) >= _START:
        (length,) = struct.unpack_from(_order(content) + "I", content, _START - 4)
        place: int = _START + length + -length % 4 + 4  # numbers are aligned to their size
        if length <= _MAX_FRAME_ID and place <= len(content):
            return place
    raise PacketError("malformed", "no packet within them")


def _order(content: bytes | bytearray) -> str:
    """Return the byte order that the encapsulation states, as `struct` names it."""
    return "<" if content[1] & 1 else ">"
