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
from zlib import crc32

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes.air.indices_subscription import station_place
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
_STAMP = struct.Struct("<iI")
_STAMP_PLACE = 4  # after the encapsulation


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
        (station,) = struct.unpack_from("<I", content, station_place(content))
        if station in INVENTED:
            return
        if self._stations:
            self._template = bytearray(content)
        elif content not in self._heard:  # and so not what was sent here
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
        station = INVENTED[self._count % self._stations]
        struct.pack_into("<I", message, station_place(message), station)
        seconds, nanoseconds = _STAMP.unpack_from(message, _STAMP_PLACE)
        _STAMP.pack_into(message, _STAMP_PLACE, seconds, (nanoseconds + self._count) % 10**9)
        return message


def garbage_beside(content: bytes) -> bytes:
    """Return the next tile of a serialized ``BevIndices``' sweep, with a payload that is none."""
    message = deserialize_message(content, BevIndices)
    message.tile_index = (message.tile_index + 1) % max(message.tile_count, 1)
    message.payload = array("B", os.urandom(64))
    message.payload_crc = crc32(message.payload)
    changed: bytes = serialize_message(message)
    return changed


def _garbage() -> bytes:
    message = BevIndices()
    message.header.frame_id = "lidar"
    message.payload = array("B", bytes(_PAYLOAD))
    content: bytes = serialize_message(message)
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
