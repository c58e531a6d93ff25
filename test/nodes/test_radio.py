# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets go out as datagrams and come in again, and nothing that comes in ends the node."""

from __future__ import annotations

import os
import socket

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.parameter import Parameter

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.packet import unpack
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.radio import RadioNode
from test.core.transport.test_announcement import ONE
from test.nodes.packet_messages import message_with, plain_packet


def overrides(**values):
    return [Parameter(name, value=value) for name, value in values.items()]


@pytest.fixture
def other():
    """The socket of a station that is somewhere else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(20.0)
        yield opened


@pytest.fixture
def radio(ros, other):
    """The radio of station 7, that sends to the other."""
    values = {"station_id": 7, "address": "127.0.0.1", "port": 0, "announce_period": 0.1}
    host, port = other.getsockname()
    return ros.add(RadioNode(parameter_overrides=overrides(send_to=f"{host}:{port}", **values)))


def test_the_own_packets_go_out_as_they_are_and_no_others(ros, radio, other):
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", qos.indices_output())
    ros.connect(air)
    own = message_with(plain_packet(station_id=7, sequence=3))
    air.publish(message_with(plain_packet(station_id=8)))
    air.publish(own)
    ros.spin_for(0.3)
    assert other.recv(65536) == bytes(own.packet)
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.recv(65536)
    ros.spin_until(lambda: radio.report()[1]["packets sent"] == "1")
    assert int(radio.report()[1]["bytes sent"]) == len(own.packet)


def test_what_comes_in_is_published_with_its_time(ros, radio, other):
    heard = ros.collect_packets(qos=qos.channel_output())
    ros.spin_until(lambda: ros.node.count_publishers("/v2x/bev_indices"))
    ros.spin_for(0.3)
    data = plain_packet(station_id=8, stamp_ns=12 * 10**9 + 5).content()
    other.sendto(data, ("127.0.0.1", radio.port))
    ros.spin_until(lambda: heard)
    assert heard[0].data == data
    assert (heard[0].header.stamp.sec, heard[0].header.stamp.nanosec) == (12, 5)
    assert heard[0].header.frame_id == "station_8"


def test_the_own_announcement_goes_out_again_and_again(ros, radio, other):
    announcer = ros.node.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    announcer.publish(Codebook(station_id=8, bundle_name="not its own"))
    announcer.publish(Codebook(station_id=7, bundle_name="default", map_frame="map", rows=100))
    for _ in range(3):
        ros.spin_for(0.3)
        read = Announcement.unpack(other.recv(65536))
        assert (read.station_id, read.bundle_name, read.map_frame) == (7, "default", "map")
        assert read.rows == 100


def test_announcements_that_come_in_are_published_once(ros, radio, other):
    heard = ros.collect(Codebook, "/v2x/codebook", qos.latched_input())
    for _ in range(3):
        other.sendto(ONE.pack(), ("127.0.0.1", radio.port))
    ros.spin_until(lambda: heard)
    ros.spin_for(0.3)
    assert [(each.station_id, each.format_id, each.rows) for each in heard] == [(1, 5, 100)]


def test_garbage_is_counted_and_the_node_lives_on(ros, radio, other):
    heard = ros.collect_packets(qos=qos.channel_output())
    ros.spin_until(lambda: ros.node.count_publishers("/v2x/bev_indices"))
    ros.spin_for(0.3)
    there = ("127.0.0.1", radio.port)
    damaged = bytearray(plain_packet(station_id=8).content())
    damaged[-1] ^= 1
    for data in (b"", b"hello", os.urandom(1400), bytes(damaged)):
        other.sendto(data, there)
    other.sendto(plain_packet(station_id=8).content(), there)
    ros.spin_until(lambda: heard)
    assert unpack(heard[0].data).station_id == 8
    assert len(heard) == 1


def test_nobody_at_the_destination_is_no_reason_to_end(ros):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    values = {"station_id": 7, "address": "127.0.0.1", "port": 0, "send_to": f"127.0.0.1:{port}"}
    radio = ros.add(RadioNode(parameter_overrides=overrides(**values)))
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", qos.indices_output())
    ros.connect(air)
    for number in range(5):
        air.publish(message_with(plain_packet(station_id=7, sequence=number)))
        ros.spin_for(0.1)
    assert radio.is_active
    assert radio.failure is None


def test_a_group_is_heard_by_all_that_join_it(ros):
    values = {"address": "127.0.0.1", "group": "239.255.47.1", "port": 0}
    first = ros.add(RadioNode(parameter_overrides=overrides(station_id=7, **values)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        own = socket.inet_aton("127.0.0.1")
        other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        heard = ros.collect_packets(qos=qos.channel_output())
        ros.spin_until(lambda: ros.node.count_publishers("/v2x/bev_indices"))
        ros.spin_for(0.3)
        other.sendto(plain_packet(station_id=9).content(), ("239.255.47.1", first.port))
        ros.spin_until(lambda: heard)
    assert heard[0].station_id == 9


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"send_to": "somewhere:port"}, "host:port"),
        ({"send_to": "10.0.0.1:70000"}, "host:port"),
        ({"group": "10.0.0.1"}, "224.0.0.0"),
        ({"address": "here"}, "address"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(ros, values, text):
    with pytest.raises(ValueError, match=text):
        RadioNode(parameter_overrides=overrides(station_id=7, **values))
