# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Each packet passes a radio once, and those of the own station go out alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.datagram_gate import REMEMBERED, DatagramGate
from quantv2x_ros.core.transport.packet import Packet, PacketError
from test.core.transport.test_announcement import ONE
from test.core.transport.test_packet import packet


def test_only_packets_of_the_own_station_go_out() -> None:
    gate = DatagramGate(7, 1000.0)
    own, other = packet().content(), packet(station_id=8).content()
    assert gate.may_leave(7, own)
    assert not gate.may_leave(8, other)


def test_an_echo_of_what_was_sent_is_passed_over() -> None:
    gate = DatagramGate(7, 1000.0)
    data = packet().content()
    assert gate.may_leave(7, data)
    assert gate.read(data, 0.0) is None


def test_a_packet_under_the_own_id_that_was_not_sent_goes_in_and_not_out_again() -> None:
    gate = DatagramGate(7, 1000.0)
    data = packet(sequence=99).content()
    read = gate.read(data, 0.0)
    assert isinstance(read, Packet)
    assert read.sequence == 99
    assert not gate.may_leave(7, data), "else it would go round for ever"


def test_what_comes_by_two_ways_goes_in_once() -> None:
    gate = DatagramGate(7, 1000.0)
    data = packet(station_id=8).content()
    assert gate.read(data, 0.0) is not None
    assert gate.read(data, 0.1) is None


def test_more_than_the_rate_is_dropped_unread() -> None:
    gate = DatagramGate(7, 100.0)
    passed, refused = 0, set()
    for number in range(200):
        try:
            gate.read(packet(station_id=8, sequence=number).content(), 0.001 * number)
        except PacketError as error:
            refused.add(error.reason)
        else:
            passed += 1
    assert refused == {"rate"}
    assert 60 <= passed <= 75, "half a second's at once, then 100 a second"


def test_announcements_have_a_bound_of_their_own() -> None:
    gate = DatagramGate(7, 100_000.0)
    passed = 0
    for number in range(300):
        try:
            read = gate.read(replace(ONE, station_id=number).pack(), 0.0)
        except PacketError as error:
            assert error.reason == "rate"  # noqa: PT017 - others pass
        else:
            passed += isinstance(read, Announcement)
    assert passed == 100


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(PacketError) as caught:
        DatagramGate(7, 1000.0).read(data, 0.0)
    assert caught.value.reason in ("malformed", "crc", "tiles", "pose")


def test_what_it_remembers_is_bounded() -> None:
    gate = DatagramGate(7, 1e6)
    first = packet(sequence=0).content()
    gate.may_leave(7, first)
    for number in range(1, REMEMBERED + 1):
        gate.may_leave(7, packet(sequence=number).content())
    assert gate.read(first, 0.0) is not None
