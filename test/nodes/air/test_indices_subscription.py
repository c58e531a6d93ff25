# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages taken as bytes: whose they are, and what a flood does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.serialization import serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.packet import HEADERS, STATION_AT, PacketError, seal
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES
from quantv2x_ros.core.transport.packet_tiles import LEAST_WORK
from quantv2x_ros.nodes.air.heard_packet import HeardPacket, message_of
from quantv2x_ros.nodes.air.indices_subscription import (
    IndicesSubscription,
    packet_place,
    stamp_of,
    station_of,
)
from quantv2x_ros.nodes.common import qos
from test.nodes.packet_messages import message_with, plain_packet

WORK = 0.5


class Receiver:
    """A subscription that listens to everyone but those told to be silent."""

    def __init__(self, ros, silenced=(), ignored=None, postponed=()):
        self.ros, self.heard, self.refused, self.spent = ros, [], [], []
        self.ignored, self.postponed, self.postponed_stations = [], [], postponed
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", qos.channel_input())
        self.subscription = IndicesSubscription(
            ros.node,
            lambda station, now: "rate" if station in silenced else "",
            lambda station, seconds, sweeps, now: self.spent.append((station, seconds, sweeps)),
            self.take,
            lambda reason, text, count: self.refused.append((reason, text, count)),
            ignored,
            self.postpone,
            self.ignored.append,
        )
        ros.connect(self.air)

    def take(self, heard):
        self.heard.append(heard)
        return WORK

    def postpone(self, station, stamp_ns, content):
        if station not in self.postponed_stations:
            return False
        self.postponed.append((station, stamp_ns, content))
        return True

    def send(self, *stations):
        for station in stations:
            self.air.publish(message_with(plain_packet(station_id=station)))

    @property
    def stations(self):
        return [heard.packet.station_id for heard in self.heard]

    def count(self, reason):
        """Messages that were refused for a reason."""
        return sum(count for name, _, count in self.refused if name == reason)


@settings(deadline=None)  # the first call loads the type support
@given(st.text(max_size=40), st.integers(0, 2**32 - 1), st.integers(0, 2**31 * 10**9 - 1))
def test_station_and_time_are_read_whatever_the_frame_is_called(frame, station, stamp_ns):
    frame = frame.replace("\x00", "")
    packet = plain_packet(station_id=station, stamp_ns=stamp_ns)
    content = serialize_message(message_of(packet.content(), 5, frame))
    assert station_of(content) == station
    assert stamp_of(content) == stamp_ns, "that of the packet, which may be signed"
    place = packet_place(content)
    assert content[place : place + HEADER_BYTES] == packet.content()[:HEADER_BYTES]


@given(st.binary(max_size=128))
def test_any_bytes_give_a_station_and_a_time_or_an_error(content):
    try:
        station, stamp_ns = station_of(content), stamp_of(content)
    except PacketError:
        return
    assert 0 <= station < 2**32
    assert -(2**63) <= stamp_ns < 2**63


WHOLE = serialize_message(message_with(plain_packet(station_id=0x01020304, payload=bytes(200))))


@settings(deadline=None, max_examples=1000)
@given(
    st.dictionaries(st.integers(0, packet_place(WHOLE) - 1), st.integers(0, 255), max_size=3),
    st.binary(max_size=30),
    st.integers(0, packet_place(WHOLE) - 1),
)
def test_station_and_time_that_are_read_first_are_those_of_the_packet(changes, inserted, place):
    content = bytearray(WHOLE)
    for number, value in changes.items():
        content[number] = value
    content[place:place] = inserted
    try:
        outside = station_of(bytes(content)), stamp_of(bytes(content))
        packet = HeardPacket.read(bytes(content)).packet
    except PacketError:
        return
    assert outside == (packet.station_id, packet.stamp_ns)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("length", [0, 1, 4, 5, 1020, 1024])
def test_the_packet_is_found_in_either_byte_order_whatever_the_frame(order, length):
    packet = plain_packet(station_id=0x01020304).content()
    head = b"\0\1\0\0" if order == "<" else b"\0\0\0\0"
    frame = b"a" * length + bytes(-length % 4)
    content = head + struct.pack(f"{order}iII", 1, 2, length) + frame
    content += struct.pack(f"{order}I", len(packet)) + packet
    assert content[packet_place(content) :] == packet
    assert station_of(content) == HeardPacket.read(content).packet.station_id == 0x01020304


def test_a_frame_with_a_long_name_is_none():
    content = serialize_message(message_with(plain_packet(), "a" * 1024))
    with pytest.raises(PacketError, match="no packet within them"):
        station_of(content)


def test_a_length_beyond_the_message_is_refused():
    content = bytearray(serialize_message(message_with(plain_packet())))
    struct.pack_into("<I", content, 12, 2**32 - 1)
    for read in (packet_place, station_of, stamp_of):
        with pytest.raises(PacketError, match="no packet within them") as error:
            read(bytes(content))
        assert error.value.reason == "malformed"


def test_a_message_that_ends_within_the_packets_header_is_refused():
    content = serialize_message(message_with(plain_packet(payload=b"")))
    end = packet_place(content) + min(HEADERS.values())
    assert station_of(content[:end]) == 7
    for read in (station_of, stamp_of):
        with pytest.raises(PacketError, match="51 bytes are no packet"):
            read(content[: end - 1])


def test_messages_arrive_in_order_and_refused_ones_are_counted(ros):
    receiver = Receiver(ros, silenced={7})
    for round_ in range(1, 11):  # the queue is bounded, so not all at once
        receiver.send(*[1, 7, 2, 7, 7, 3] * 6)
        ros.spin_until(lambda until=18 * round_: len(receiver.heard) >= until)
    assert receiver.stations == [1, 2, 3] * 60
    ros.spin_until(lambda: sum(count for _, _, count in receiver.refused) >= 180)
    assert {reason for reason, _, _ in receiver.refused} == {"rate"}
    assert [station for station, _, _ in receiver.spent] == [1, 2, 3] * 60
    assert all(0 <= seconds < 1 for _, seconds, _ in receiver.spent)
    assert {work for _, _, work in receiver.spent} == {WORK}
    assert receiver.count("rate") == 180


def test_the_own_station_is_passed_over_and_not_counted(ros):
    receiver = Receiver(ros, ignored=1)
    receiver.send(1, 2, 1, 3)
    ros.spin_until(lambda: len(receiver.heard) >= 2)
    assert receiver.stations == [2, 3]
    assert [station_of(content) for content in receiver.ignored] == [1, 1]
    assert [station for station, _, _ in receiver.spent] == [2, 3]
    assert receiver.refused == []


def test_a_message_that_is_kept_for_later_is_read_when_its_turn_comes(ros):
    receiver = Receiver(ros, silenced={3}, postponed=(2, 3))
    receiver.send(1, 2, 3, 4)
    ros.spin_until(lambda: len(receiver.heard) >= 2)
    assert receiver.stations == [1, 4]
    ((station, stamp_ns, content),) = receiver.postponed
    assert (station, stamp_ns) == (2, plain_packet().stamp_ns)
    assert [station for station, _, _ in receiver.spent] == [1, 4]
    receiver.subscription.read(content)
    assert receiver.stations == [1, 4, 2]
    assert [station for station, _, _ in receiver.spent] == [1, 4, 2]


def test_bytes_that_are_no_message_are_counted_and_the_node_lives_on(ros):
    receiver = Receiver(ros)
    whole = serialize_message(message_with(plain_packet(station_id=5, payload=bytes(100))))
    place = packet_place(whole)
    cut = (20, 28, 60, place + HEADER_BYTES, len(whole) - 50)
    for size in cut:
        receiver.air.publish(whole[:size])
    receiver.send(6)
    ros.spin_until(lambda: receiver.heard)
    assert receiver.count("malformed") == len(cut)
    for number in (12, *range(place - 4, 80, 4)):  # the lengths, and within the packet
        broken = bytearray(whole)
        struct.pack_into("<I", broken, number, 0xFFFFFFF0)
        receiver.air.publish(bytes(broken))
    receiver.send(7)
    ros.spin_until(lambda: receiver.stations[-1] == 7)
    assert receiver.stations == [6, 7]
    assert {reason for reason, _, _ in receiver.refused} == {"malformed", "crc"}


@pytest.mark.parametrize(
    ("changed", "value", "sealed", "reason"),
    [
        (0, 0x30, True, "malformed"),
        (-1, 1, False, "crc"),
        (STATION_AT + 4, 1, False, "crc"),
        (HEADER_BYTES - 10, 1, True, "tiles"),
        (17 + 3, 0x7F, True, "pose"),
    ],
)
def test_a_message_whose_packet_is_none_is_counted_against_its_station(
    ros, changed, value, sealed, reason
):
    receiver = Receiver(ros)
    message = message_with(plain_packet(station_id=5))
    data = bytearray(message.packet)
    data[changed] ^= value
    if sealed:
        seal(data)
    receiver.air.publish(message_of(bytes(data), 0, "lidar"))
    receiver.send(6)
    ros.spin_until(lambda: receiver.heard)
    assert receiver.stations == [6]
    assert [(name, count) for name, _, count in receiver.refused] == [(reason, 1)]
    assert [(station, work) for station, _, work in receiver.spent] == [(5, LEAST_WORK), (6, WORK)]


def test_a_message_without_a_packet_is_counted_and_charged_to_nobody(ros):
    receiver = Receiver(ros)
    receiver.air.publish(BevIndices())
    receiver.send(6)
    ros.spin_until(lambda: receiver.heard)
    assert receiver.count("malformed") == 1
    assert [station for station, _, _ in receiver.spent] == [6]
