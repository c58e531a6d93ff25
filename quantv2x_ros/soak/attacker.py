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
from queue import Queue

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes import qos
from quantv2x_ros.nodes.indices_subscription import station_place

TOPIC = "/v2x/bev_indices"
UNHEARD_TOPIC = "/v2x/nobody_listens"
KINDS = ("strangers", "copies")
PHASES = ("quiet", "unheard", "attack")
#: Invented stations from this id on.
_FIRST_STATION = 1_000_000
#: Different stations of each kind: as many as there are messages, or so few that all get in.
_STATIONS = {"strangers": 1_000_000, "copies": 30}
_PAYLOAD = 1300
#: So much of the flood may be made up for at once, seconds.
_PATIENCE = 0.02
_STAMP = struct.Struct("<iI")
_STAMP_PLACE = 4  # after the encapsulation


class Attacker(Node):  # type: ignore[misc]
    """Sends as fast as it is told.

    ``strangers`` sends messages of ever new stations that belong to no codebook; ``copies`` sends
    what the true stations send once more, in the names of others and with stamps of their own, so
    that every check without a signature is passed.
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
        self._by_phase = {
            "unheard": self.create_publisher(BevIndices, UNHEARD_TOPIC, qos.indices_input()),
            "attack": self.create_publisher(BevIndices, TOPIC, qos.indices_input()),
        }
        self._count = 0
        self._phase = "quiet"
        self._since = 0.0
        self._sent = 0
        if kind == "copies":
            self.create_subscription(BevIndices, TOPIC, self._listen, qos.indices_input(), raw=True)

    def _listen(self, content: bytes) -> None:
        (station,) = struct.unpack_from("<I", content, station_place(content))
        if station < _FIRST_STATION:
            self._template = bytearray(content)

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
            message = bytearray(self._template)
            station = _FIRST_STATION + self._count % self._stations
            struct.pack_into("<I", message, station_place(message), station)
            seconds, nanoseconds = _STAMP.unpack_from(message, _STAMP_PLACE)
            shifted = (nanoseconds + self._count) % 10**9
            _STAMP.pack_into(message, _STAMP_PLACE, seconds, shifted)
            publisher.publish(bytes(message))
            self._count += 1
            self._sent += 1


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
