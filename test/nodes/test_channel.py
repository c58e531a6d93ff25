# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The channel node, alive, over real topics."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.nodes.channel import ChannelNode
from quantv2x_ros.nodes.common import qos
from test.nodes.packet_messages import heard, message_with, plain_packet


class Air:
    """A channel node between a sender and a receiver."""

    def __init__(self, ros, **values):
        values = {"diagnostics_period": 0.1, **values}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.ros = ros
        self.received = ros.collect(BevIndices, "/v2x/bev_indices", qos.channel_output())
        self.diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
        self.sender = ros.node.create_publisher(
            BevIndices, "/v2x/bev_indices_sent", qos.channel_input()
        )
        self.node = ros.add(ChannelNode(parameter_overrides=overrides))
        ros.connect(self.sender)
        ros.spin_until(lambda: self.node.count_subscribers("/v2x/bev_indices") > 0)
        ros.spin_for(0.2)

    def send(self, count, size=100):
        for number in range(count):
            payload = bytes([number % 256]) * size
            self.sender.publish(message_with(plain_packet(sequence=number, payload=payload)))
            self.ros.executor.spin_once(timeout_sec=0.005)

    @property
    def sequences(self):
        """The numbers of the packets that have arrived."""
        return [heard(message).sequence for message in self.received]

    def counted(self):
        """Everything that the newest report holds."""
        status = self.diagnostics[-1].status[0]
        return {item.key: item.value for item in status.values}

    def wait_for(self, sent):
        self.ros.spin_until(lambda: self.diagnostics and self.counted().get("sent") == str(sent))
        self.ros.spin_until(lambda: self.counted()["on their way"] == "0")
        self.ros.spin_for(0.2)


def test_a_good_channel_passes_everything_unchanged(ros):
    air = Air(ros)
    air.send(20)
    ros.spin_until(lambda: len(air.received) >= 20)
    assert air.sequences == list(range(20))
    for number, message in enumerate(air.received):
        packet = plain_packet(sequence=number, payload=bytes([number]) * 100)
        assert message == message_with(packet)


def test_every_lost_message_is_counted_by_its_reason(ros):
    air = Air(ros, loss=0.3, burst_start=0.1, burst_end=0.3, seed=4)
    air.send(100)
    air.wait_for(100)
    counted = air.counted()
    lost = int(counted["lost"]) + int(counted["lost_in_burst"])
    assert lost > 20
    assert int(counted["delivered"]) == 100 - lost == len(air.received)
    assert counted["dropped: lost"].startswith(counted["lost"] + " (")


def test_the_same_seed_loses_the_same_messages(ros):
    passed = []
    for _ in range(2):
        air = Air(ros, loss=0.5, seed=9)
        air.send(30)
        air.wait_for(30)
        passed.append(air.sequences)
        air.node.destroy_node()
        ros.nodes.remove(air.node)
    assert passed[0] == passed[1]
    assert 5 < len(passed[0]) < 25


def test_a_message_arrives_after_its_delay(ros):
    air = Air(ros, delay_ms=300.0)
    start = time.monotonic()
    air.send(1)
    ros.spin_until(lambda: air.received)
    assert time.monotonic() - start >= 0.3


def test_damage_is_seen_by_the_checksum(ros):
    air = Air(ros, corrupt=1.0)
    air.send(5)
    ros.spin_until(lambda: len(air.received) == 5)
    for message in air.received:
        with pytest.raises(PacketError) as caught:
            heard(message)
        assert caught.value.reason in ("crc", "malformed")
        assert message.header.frame_id == "lidar"


def test_damage_hits_any_byte_of_a_packet(ros):
    air = Air(ros, corrupt=1.0, seed=3)
    air.send(60, size=8)
    ros.spin_until(lambda: len(air.received) == 60)
    whole = [message_with(plain_packet(sequence=n, payload=bytes([n]) * 8)) for n in range(60)]
    places = {
        place
        for sent, got in zip(whole, air.received, strict=True)
        for place, pair in enumerate(zip(sent.packet, got.packet, strict=True))
        if pair[0] != pair[1]
    }
    assert min(places) < 16
    assert 56 <= max(places) < 72
    assert len(places) > 25


def test_bytes_that_are_no_packet_are_dropped_and_counted(ros):
    air = Air(ros)
    air.sender.publish(BevIndices(packet=bytes(80)))
    damaged = message_with(plain_packet())
    damaged.packet[70] ^= 1
    air.sender.publish(damaged)
    air.send(1)
    air.wait_for(1)
    assert air.sequences == [0]
    counted = air.counted()
    assert counted["dropped: malformed"].startswith("1 (")
    assert counted["dropped: crc"].startswith("1 (packet of station 7")


def test_a_setting_out_of_range_is_named(ros):
    with pytest.raises(ValueError, match="loss"):
        ChannelNode(parameter_overrides=[Parameter("loss", value=1.5)])
