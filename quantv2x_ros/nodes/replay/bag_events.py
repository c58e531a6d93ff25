# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages of a bag as events, whatever their times."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.object_packet import read_packet
from quantv2x_ros.core.transport.packet import STAMP_AT, PacketError, seal
from quantv2x_ros.data.bag import BagMessage, BagReader
from quantv2x_ros.data.bag_times import BagTimes
from quantv2x_ros.data.bag_topics import POSE_TYPES
from quantv2x_ros.data.recorded_messages import MARKERS_TYPE, POINTS_TYPE, TRANSFORM_TYPE
from quantv2x_ros.nodes.replay.playlist import Event

#: Types that get the time of recording for a stamp of 0, which says "no time" in ROS. What is
#: signed keeps what it has.
_STAMPED = (POINTS_TYPE, *POSE_TYPES)
#: Types that do not begin with a header.
_HEADLESS = (MARKERS_TYPE, TRANSFORM_TYPE)
_INDICES = "quantv2x_msgs/msg/BevIndices"


class BagEvents:
    """Reads some topics of a bag, in time that never goes back.

    Messages without a time are left out, but for latched ones: those, and what else is older than
    the first message, come at the beginning.

    Attributes:
        start_ns: time at which the first message was recorded, nanoseconds.
    """

    def __init__(
        self,
        bag: BagReader,
        topics: Mapping[str, str],
        latched: Collection[str],
        warn: Callable[[str], object],
    ) -> None:
        """Read the beginning of a bag.

        Args:
            bag: open bag; it is opened anew for each reading.
            topics: name in the bag → name when played, for each topic that is played.
            latched: topics of the bag whose messages stay valid; they do not begin the recording.
            warn: called with a sentence about messages that are not played as recorded.

        Raises:
            ValueError: for a bag that is damaged.
        """
        self._path: Path = bag.path
        self._topics = topics
        self._latched = frozenset(latched)
        self._warn = warn
        self._times = BagTimes.of(bag, [name for name in topics if name not in self._latched])
        self._unstamped: set[str] = set()
        self.start_ns = self._times.start
        if complaint := self._times.complaint():
            warn(f"{self._path}: {complaint}")

    def read(self, offset_ns: int) -> Iterator[Event]:
        """Yield the messages in order of time, later by some nanoseconds, stamps included."""
        now = self.start_ns
        with BagReader(self._path) as bag:
            for message in bag.messages(self._topics):
                if not self._times.has_time(message) and message.topic not in self._latched:
                    continue
                now = max(now, message.stamp)
                data = self._stamped(message, now, offset_ns)
                yield Event(now + offset_ns, self._topics[message.topic], data)

    def _stamped(self, message: BagMessage, now: int, offset_ns: int) -> bytes:
        """Return the message with its stamp for a repetition, or with one if it has none."""
        if message.msgtype in _HEADLESS:
            return message.data
        if message.msgtype in _STAMPED and read_stamp(message.data) == 0 and now:
            if message.topic not in self._unstamped:
                self._unstamped.add(message.topic)
                self._warn(
                    f"{self._path}: {message.topic} has stamps of 0; played with the times of"
                    " recording instead, which are later by what the message took on its way"
                )
            return shift_stamp(message.data, now + offset_ns)
        if not offset_ns:
            return message.data
        shift = shift_packet if message.msgtype == _INDICES else shift_stamp
        return shift(message.data, offset_ns)


def read_stamp(data: bytes) -> int:
    """Return the stamp of a serialized message that begins with a header, nanoseconds."""
    seconds, nanoseconds = struct.unpack_from(f"{_byte_order(data)}iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def read_frame_id(data: bytes) -> str:
    """Return the frame_id of a serialized message that begins with a header."""
    (length,) = struct.unpack_from(f"{_byte_order(data)}I", data, 12)
    return data[16 : 16 + length].rstrip(b"\0").decode()


def shift_stamp(data: bytes, offset_ns: int) -> bytes:
    """Return a serialized message that begins with a header with a later stamp.

    Args:
        data: CDR bytes with their four bytes of encapsulation.
        offset_ns: difference to the stamp, nanoseconds.
    """
    moved = divmod(read_stamp(data) + offset_ns, 1_000_000_000)
    return data[:4] + struct.pack(f"{_byte_order(data)}iI", *moved) + data[12:]


def shift_packet(data: bytes, offset_ns: int) -> bytes:
    """Return a serialized ``BevIndices`` with a later stamp, in its header and in its packet.

    A signature is none over the later packet. Damage to a packet is not mended.

    Args:
        data: CDR bytes with their four bytes of encapsulation.
        offset_ns: difference to the stamp, nanoseconds.
    """
    shifted = shift_stamp(data, offset_ns)
    message = deserialize_message(shifted, BevIndices)
    packet = bytearray(message.packet)
    try:
        stamp_ns = read_packet(packet).stamp_ns
    except PacketError:
        return shifted
    struct.pack_into("<q", packet, STAMP_AT, stamp_ns + offset_ns)
    seal(packet)
    message.packet = array("B", packet)
    return bytes(serialize_message(message))


def _byte_order(data: bytes) -> str:
    return "<" if data[1] & 1 else ">"
