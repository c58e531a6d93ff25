# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a station's radio lets out, and in: its own packets, and others'."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from quantv2x_ros.core.peers.rate_limit import TokenBucket
from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.object_packet import AnyPacket, read_packet
from quantv2x_ros.core.transport.packet import ANNOUNCEMENT, PacketError

#: Packets that are remembered, to know them again.
REMEMBERED = 4096
#: Announcements a second, and at once, that are let in; a station makes one a second.
_ANNOUNCEMENTS, _ANNOUNCEMENTS_AT_ONCE = 20.0, 100.0
#: Packets that are let in at once after a pause, in seconds of the rate.
_BURST = 0.5


class DatagramGate:
    """Passes packets between the air and the own domain; each but once.

    On the own side all stations' packets come along: those of the own station go out, those that
    came in by radio do not go out again. Times are seconds of a steady clock.
    """

    def __init__(self, own_station: int, max_rate: float) -> None:
        """Have passed nothing yet.

        Args:
            own_station: id of the own station.
            max_rate: packets that are let in, 1/s; more are dropped unread.

        Raises:
            ValueError: for a rate that is not positive.
        """
        self._own_station = own_station
        self._rate = TokenBucket(max_rate, max(1.0, _BURST * max_rate))
        self._announcements = TokenBucket(_ANNOUNCEMENTS, _ANNOUNCEMENTS_AT_ONCE)
        self._sent: OrderedDict[bytes, None] = OrderedDict()
        self._received: OrderedDict[bytes, None] = OrderedDict()

    def may_leave(self, station_id: int, data: bytes) -> bool:
        """Return whether a packet that is heard on the own side goes out; it is remembered so.

        Args:
            station_id: of the packet's sender.
            data: all bytes of the packet.
        """
        if station_id != self._own_station:
            return False
        digest = _digest(data)
        if digest in self._received:
            return False  # another station's with the own id, that came in
        _remember(self._sent, digest)
        return True

    def read(self, data: bytes, now: float) -> AnyPacket | Announcement | None:
        """Read what came in; None for an echo of what was sent, and for what came in before.

        Whose packet it is does not matter here: one of another station with the own id goes in, for
        the fusion node to tell of it.

        Raises:
            PacketError: ``rate`` beyond the rate, else see `read_packet` and `Announcement.unpack`.
        """
        if not self._rate.take(now):
            raise PacketError("rate", "more packets come in than max_packet_rate")
        digest = _digest(data)
        if digest in self._sent or digest in self._received:
            return None
        if data[:1] == bytes((ANNOUNCEMENT << 4,)):
            return self._announcement(data, now)
        packet = read_packet(data)
        _remember(self._received, digest)
        return packet

    def _announcement(self, data: bytes, now: float) -> Announcement:
        if not self._announcements.take(now):
            raise PacketError("rate", f"more than {_ANNOUNCEMENTS:g} announcements a second")
        return Announcement.unpack(data)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _remember(table: OrderedDict[bytes, None], digest: bytes) -> None:
    table[digest] = None
    while len(table) > REMEMBERED:
        table.popitem(last=False)
