# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An attacker to test receivers with: floods ``/v2x/bev_indices`` from a process of its own.

Reads commands from its standard input, a line each: ``quiet``, ``unheard`` (the same flood on a
topic that nobody subscribes to) or ``attack``; answers each with the number of messages sent since
the one before. Ends with its input.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import threading
import time
from array import array
from collections import deque
from queue import Queue

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.transport.object_packet import ObjectPacket, read_packet
from quantv2x_ros.core.transport.packet import (
    BIT_PACKED,
    STAMP_AT,
    STATION_AT,
    Packet,
    PacketError,
    seal,
)
from quantv2x_ros.core.transport.tiles import TilePlace
from quantv2x_ros.nodes.air.heard_packet import HeardPacket, message_of
from quantv2x_ros.nodes.air.indices_subscription import packet_place, station_of
from quantv2x_ros.nodes.common import qos

TOPIC = "/v2x/bev_indices"
UNHEARD_TOPIC = "/v2x/nobody_listens"
KINDS = ("strangers", "copies", "newcomers", "echoes")
PHASES = ("quiet", "unheard", "attack")
#: Different stations of each kind: as many as there are messages, or so few that all get in.
_STATIONS = {"strangers": 1_000_000, "copies": 30, "newcomers": 1_000_000, "echoes": 0}
#: Ids of invented stations.
INVENTED = range(1_000_000, 2_000_000)
_PAYLOAD = 1300
#: So much of the flood may be made up for at once, seconds.
_PATIENCE = 0.02
#: Messages that are recognised as what was sent here.
_REMEMBERED = 256


class Attacker(Node):  # type: ignore[misc]
    """Sends as fast as it is told.

    ``strangers`` sends messages of ever new stations that belong to no codebook. The others send
    what the true stations send once more: ``copies`` in the names of 30 others and with stamps of
    their own, so that every check without a signature is passed; ``newcomers`` the same in ever new
    names; ``echoes`` in the true names, each message as it was and then a further tile of its sweep
    that holds garbage with a right checksum.
    """

    def __init__(self, kind: str, rate: float) -> None:
        """Prepare.

        Args:
            kind: one of `KINDS`.
            rate: messages a second.
        """
        super().__init__("attacker")
        self._rate = rate
        self._stations = _STATIONS[kind]
        self._template = bytearray(_garbage())
        self._echoes: tuple[bytes, ...] = (_garbage(),)
        self._heard: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._by_phase = {
            "unheard": self.create_publisher(BevIndices, UNHEARD_TOPIC, qos.indices_input()),
            "attack": self.create_publisher(BevIndices, TOPIC, qos.indices_input()),
        }
        self._count = 0
        self._phase = "quiet"
        self._since = 0.0
        self._sent = 0
        if kind != "strangers":
            self.create_subscription(BevIndices, TOPIC, self._listen, qos.indices_input(), raw=True)

    def _listen(self, content: bytes) -> None:
        if content in self._heard or not _is_true(content):
            return
        if self._stations:
            self._template = _without_padding(content)
        else:
            self._echoes = (content, garbage_beside(content))
            self._heard.extend(self._echoes)

    def change(self, phase: str) -> int:
        """Begin a phase; returns the number of messages sent in the one before."""
        sent, self._sent = self._sent, 0
        self._phase, self._since = phase, time.monotonic()
        return sent

    def send(self) -> None:
        """Send what is due by now."""
        publisher = self._by_phase.get(self._phase)
        if publisher is None:
            return
        now = time.monotonic()
        due = int((now - self._since) * self._rate)
        behind = due - self._sent
        if behind > self._rate * _PATIENCE:  # this machine cannot; what was missed is not made up
            self._since += (behind - self._rate * _PATIENCE) / self._rate
            behind = int(self._rate * _PATIENCE)
        for _ in range(behind):
            publisher.publish(bytes(self._next()))
            self._count += 1
            self._sent += 1

    def _next(self) -> bytes | bytearray:
        """The next message of the flood."""
        if not self._stations:
            return self._echoes[self._count % len(self._echoes)]
        message = bytearray(self._template)
        place = packet_place(message)
        station = INVENTED[self._count % self._stations]
        struct.pack_into("<I", message, place + STATION_AT, station)
        (stamp_ns,) = struct.unpack_from("<q", message, place + STAMP_AT)
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp_ns = seconds * 10**9 + (nanoseconds + self._count) % 10**9
        struct.pack_into("<q", message, place + STAMP_AT, stamp_ns)
        seal(message, place)
        return message


def _is_true(content: bytes) -> bool:
    """Whether a serialized ``BevIndices`` is a true station's, and arrived undamaged."""
    try:
        return station_of(content) not in INVENTED and bool(HeardPacket.read(content))
    except PacketError:
        return False


def garbage_beside(content: bytes) -> bytes:
    """Return the next tile of a serialized ``BevIndices``' sweep, with a payload that is none."""
    message = deserialize_message(content, BevIndices)
    packet = read_packet(message.packet)
    if isinstance(packet, ObjectPacket) or packet.place is None:
        return content
    number = (packet.tile_index + 1) % packet.tile_count
    packet = packet.with_values(tile_index=number, payload=os.urandom(64), signature_kind=0)
    message.packet = array("B", packet.content())
    changed: bytes = serialize_message(message)
    return changed


def _without_padding(content: bytes) -> bytearray:
    """Return a serialized ``BevIndices`` that ends with its packet, as `seal` needs it."""
    place = packet_place(content)
    (size,) = struct.unpack_from("<I", content, place - 4)
    return bytearray(content[: place + size])


def _garbage() -> bytes:
    """Return a serialized message of a packet that belongs to no format."""
    packet = Packet(
        station_id=0,
        sequence=0,
        stamp_ns=0,
        pose=np.eye(4),
        spread=PoseSpread(),
        format_id=0,
        tile_index=0,
        tile_count=1,
        parity_count=0,
        place=TilePlace(0, 1, 0, 1, 0, 1),
        sent_levels=1,
        omitted_cells=0,
        encoding=BIT_PACKED,
        payload=bytes(_PAYLOAD),
    )
    content: bytes = serialize_message(message_of(packet.content(), 0, "lidar"))
    return content


def main() -> None:
    """Run until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0])
    parser.add_argument("--rate", type=float, default=10_000.0)
    parser.add_argument("--niceness", type=int, default=19)
    arguments = parser.parse_args()
    os.nice(arguments.niceness)
    rclpy.init(args=[])
    attacker = Attacker(arguments.kind, arguments.rate)
    executor = SingleThreadedExecutor()
    executor.add_node(attacker)
    lines: Queue[str] = Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line.strip())
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        if not lines.empty():
            phase = lines.get()
            if not phase:
                break
            print(attacker.change(phase), flush=True)
        executor.spin_once(timeout_sec=0)
        attacker.send()
        time.sleep(0.001)
    executor.shutdown()
    attacker.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
