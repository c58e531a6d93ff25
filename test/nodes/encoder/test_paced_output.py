# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages wait for the radio, not for the node; what a newer sweep replaces is never sent."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.channel.radio import RadioError
from quantv2x_ros.core.transport.packet_sizes import GEONETWORKING_UNIT, HEADER_BYTES
from quantv2x_ros.nodes.encoder.paced_output import PacedOutput
from test.nodes.packet_messages import heard, message_with, plain_packet


def messages(sequence: int, count: int, size: int = GEONETWORKING_UNIT) -> list[BevIndices]:
    payload = bytes(size - HEADER_BYTES)
    packet = plain_packet(sequence=sequence, tile_count=count, payload=payload)
    return [message_with(packet.with_values(tile_index=number)) for number in range(count)]


class Air:
    """Takes note of what is published."""

    def __init__(self, expected: int) -> None:
        self.sent: list[tuple[int, int]] = []
        self.failures: list[BaseException] = []
        self.threads: set[int] = set()
        self._expected = expected
        self.complete = threading.Event()

    def publish(self, message: BevIndices) -> None:
        self.threads.add(threading.get_ident())
        packet = heard(message)
        self.sent.append((packet.sequence, packet.tile_index))
        if len(self.sent) >= self._expected:
            self.complete.set()


def test_without_a_law_all_is_sent_before_the_call_returns():
    air = Air(5)
    output = PacedOutput("none", air.publish, air.failures.append)
    output.start()
    assert output.budget(0.0, 1398, HEADER_BYTES) is None
    output.send(messages(1, 5))
    assert air.sent == [(1, number) for number in range(5)]
    assert air.threads == {threading.get_ident()}
    assert output.report() == {}
    output.stop()


def test_with_a_law_they_go_from_another_thread_in_their_order():
    air = Air(3)
    output = PacedOutput("its_g5_6", air.publish, air.failures.append)
    output.start()
    output.send(messages(1, 3))
    assert air.complete.wait(60.0)
    output.stop()
    assert air.sent == [(1, 0), (1, 1), (1, 2)]
    assert threading.get_ident() not in air.threads
    assert output.report()["messages that a newer sweep replaced"] == "0"


def test_a_newer_sweep_takes_the_place_of_what_waits():
    air = Air(1)
    output = PacedOutput("its_g5_6", air.publish, air.failures.append)
    output.start()
    output.send(messages(1, 200))  # 13 a second may go
    assert air.complete.wait(60.0)
    output.send(messages(2, 1))
    output.stop()
    assert (1, 199) not in air.sent
    assert int(output.report()["messages that a newer sweep replaced"]) > 100


def test_what_ends_the_thread_is_told():
    air = Air(1)
    told = threading.Event()

    def fail(error: BaseException) -> None:
        air.failures.append(error)
        told.set()

    output = PacedOutput("its_g5_6", air.publish, fail)
    output.start()
    output.send(messages(1, 1, size=4000))
    assert told.wait(60.0)
    assert isinstance(air.failures[0], RadioError)
    output.stop()
