# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A subscription to ``BevIndices`` that costs little in a flood.

Messages are taken as bytes. Whose one is costs a microsecond to see; only those of stations that
may speak are deserialized. Bytes that are no message at all are refused here, too, where an
ordinary subscription would end the node with an exception.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.admission import RATE_REFUSALS
from quantv2x_ros.nodes.common import qos

#: Where stations hear each other, and where the own encoder is heard, in the own namespace.
AIR, OWN = "/v2x/bev_indices", "own_indices"
#: Messages taken at a time before timers and the clock get their turn, and the time [s] after which
#: they do even if there are fewer: sweeps that are decoded take milliseconds each.
_BATCH, _BATCH_TIME = 256, 0.02
#: Pause after a batch in which some were refused unread, seconds: in a flood it is cheaper to take
#: many at a time than to be woken by each. At least this, and so many times as long as the batch
#: took, so that a flood never gets more than a tenth of a core; what does not fit into the
#: subscription's queue meanwhile is lost in the middleware.
_FLOOD_PAUSE, _REST, _LONGEST_PAUSE = 0.002, 9.0, 0.05
#: The stamp, behind the encapsulation.
_STAMP = 4
#: Encapsulation, stamp and length of frame_id: what precedes the text.
_START = 16
#: A frame_id longer than this is none, bytes.
_MAX_FRAME_ID = 1024
#: What reading a message takes at least, of what an honest station's whole sweep does.
_LEAST_WORK = 1 / 16


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
        on_message: Callable[[BevIndices], None],
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
            on_message: called with each message that may speak.
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
        self._on_message = on_message
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
        except ValueError as error:
            self._on_refused("malformed", f"{len(content)} bytes are no BevIndices: {error}", 1)
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
        """Deserialize a message and pass it on; return its share of a sweep."""
        try:
            message = deserialize_message(content, BevIndices)
        except (RuntimeError, ValueError) as error:  # rmw and UTF-8 decoding raise these
            self._on_refused("malformed", f"{len(content)} bytes are no BevIndices: {error}", 1)
            return _LEAST_WORK
        self._on_message(message)
        return work_of(message)


def work_of(message: BevIndices) -> float:
    """Return the work of reading a message, in sweeps of an honest station.

    It is the tile's share of the map. A tile that claims more is refused before it is decoded.
    """
    whole = message.levels * message.rows * message.columns
    tile = message.tile_levels * message.tile_rows * message.tile_columns
    return min(max(tile / whole, _LEAST_WORK), 1.0) if whole else _LEAST_WORK


def station_of(content: bytes) -> int:
    """Return the station id of a serialized ``BevIndices`` (CDR) without reading the rest.

    Raises:
        ValueError: where it is too short.
    """
    place = station_place(content)
    (station,) = struct.unpack_from(_order(content) + "I", content, place)
    return int(station)


def stamp_of(content: bytes) -> int:
    """Return the stamp of a serialized ``BevIndices`` (CDR) with a station id, nanoseconds."""
    seconds, nanoseconds = struct.unpack_from(_order(content) + "iI", content, _STAMP)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def station_place(content: bytes | bytearray) -> int:
    """Return where the station id of a serialized ``BevIndices`` (CDR) begins, in bytes.

    Raises:
        ValueError: where it is too short.
    """
    if len(content) >= _START:
        (length,) = struct.unpack_from(_order(content) + "I", content, _START - 4)
        place: int = _START + length + -length % 4  # numbers are aligned to their size
        if length <= _MAX_FRAME_ID and place + 4 <= len(content):
            return place
    raise ValueError("no station id within them")


def _order(content: bytes | bytearray) -> str:
    """Return the byte order that the encapsulation states, as `struct` names it."""
    return "<" if content[1] & 1 else ">"
