# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages taken as bytes: whose they are, and what a flood does."""

from __future__ import annotations

import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes.air.indices_subscription import IndicesSubscription, station_of, work_of
from quantv2x_ros.nodes.common import qos


class Receiver:
    """A subscription that listens to everyone but those told to be silent."""

    def __init__(self, ros, silenced=(), ignored=None):
        self.ros, self.messages, self.refused, self.spent = ros, [], [], []
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", qos.channel_input())
        self.subscription = IndicesSubscription(
            ros.node,
            lambda station, now: "rate" if station in silenced else "",
            lambda station, seconds, sweeps, now: self.spent.append((station, seconds)),
            self.messages.append,
            lambda reason, text, count: self.refused.append((reason, text, count)),
            ignored,
        )
        ros.connect(self.air)

    def send(self, *stations):
        for station in stations:
            self.air.publish(BevIndices(station_id=station))


@settings(deadline=None)  # the first call loads the type support
@given(st.text(max_size=40), st.integers(0, 2**32 - 1))
def test_the_station_is_read_whatever_the_frame_is_called(frame, station):
    frame = frame.replace("\x00", "")
    message = BevIndices(header=Header(frame_id=frame), station_id=station)
    assert station_of(serialize_message(message)) == station


@given(st.binary(max_size=64))
def test_any_bytes_give_a_station_or_an_error(content):
    try:
        station = station_of(content)
    except ValueError:
        return
    assert 0 <= station < 2**32


def test_a_length_beyond_the_message_is_refused():
    content = bytearray(serialize_message(BevIndices()))
    struct.pack_into("<I", content, 12, 2**32 - 1)
    with pytest.raises(ValueError, match="no station id"):
        station_of(bytes(content))


def test_messages_arrive_in_order_and_refused_ones_are_counted(ros):
    receiver = Receiver(ros, silenced={7})
    for round_ in range(1, 11):  # the queue is bounded, so not all at once
        receiver.send(*[1, 7, 2, 7, 7, 3] * 6)
        ros.spin_until(lambda until=18 * round_: len(receiver.messages) >= until)
    assert [m.station_id for m in receiver.messages] == [1, 2, 3] * 60
    ros.spin_until(lambda: sum(count for _, _, count in receiver.refused) >= 180)
    assert {reason for reason, _, _ in receiver.refused} == {"rate"}
    assert [station for station, _ in receiver.spent] == [1, 2, 3] * 60
    assert all(0 <= seconds < 1 for _, seconds in receiver.spent)
    assert sum(count for _, _, count in receiver.refused) == 180


def test_the_own_station_is_passed_over_and_not_counted(ros):
    receiver = Receiver(ros, ignored=1)
    receiver.send(1, 2, 1, 3)
    ros.spin_until(lambda: len(receiver.messages) >= 2)
    assert [m.station_id for m in receiver.messages] == [2, 3]
    assert receiver.refused == []


def test_bytes_that_are_no_message_are_counted_and_the_node_lives_on(ros):
    receiver = Receiver(ros)
    message = BevIndices(station_id=5, map_frame="map")
    message.payload = array("B", bytes(100))
    whole = serialize_message(message)
    for size in (20, 28, 60, len(whole) - 50):
        receiver.air.publish(whole[:size])
    for place in range(28, 60, 4):
        broken = bytearray(whole)
        struct.pack_into("<I", broken, place, 0xFFFFFFF0)
        receiver.air.publish(bytes(broken))
    receiver.send(6)
    ros.spin_until(lambda: receiver.messages and receiver.messages[-1].station_id == 6)
    assert sum(count for reason, _, count in receiver.refused if reason == "malformed") >= 4


@given(
    st.tuples(*[st.integers(0, 255)] * 2),
    st.tuples(*[st.integers(0, 65535)] * 4),
)
def test_work_is_a_part_of_a_sweep_whatever_a_message_claims(levels, sizes):
    message = BevIndices(levels=levels[0], tile_levels=levels[1])
    message.rows, message.columns, message.tile_rows, message.tile_columns = sizes
    assert 0 < work_of(message) <= 1


def test_work_is_the_share_of_the_map():
    message = BevIndices(levels=3, rows=100, columns=352)
    message.tile_levels, message.tile_rows, message.tile_columns = 3, 50, 176
    assert work_of(message) == 0.25
