# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The attacker's process sends what it is told, and only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.soak.attacker import INVENTED, TOPIC, UNHEARD_TOPIC
from test.nodes.packet_messages import message_with, plain_packet


@pytest.fixture
def attack(ros):
    """Start an attacker; returns a function that begins a phase."""
    processes = []

    def start(kind, rate=200):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "quantv2x_ros.soak.attacker",
                f"--kind={kind}",
                f"--rate={rate}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)

        def change(phase):
            process.stdin.write(phase + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        return change

    yield start
    for process in processes:
        process.stdin.close()
        assert process.wait(60) == 0


def listen(ros, topic):
    """Every packet of a topic; a wrong checksum in one fails the test."""
    return ros.collect_packets(topic, qos.indices_input())


def test_strangers_are_ever_new_and_heard_in_the_attack_alone(ros, attack):
    heard, unheard = listen(ros, TOPIC), listen(ros, UNHEARD_TOPIC)
    change = attack("strangers")
    assert change("unheard") == 0
    ros.spin_until(lambda: len(unheard) >= 50)
    assert heard == []
    assert change("attack") >= 50
    ros.spin_until(lambda: len(heard) >= 50)
    assert change("quiet") >= 50
    stations = [message.station_id for message in heard]
    assert len(set(stations)) == len(stations)
    assert len({message.format_id for message in heard}) == 1


def test_copies_are_true_messages_in_the_names_of_few_others(ros, attack):
    heard = listen(ros, TOPIC)
    air = ros.node.create_publisher(BevIndices, TOPIC, qos.channel_input())
    change = attack("copies")
    change("quiet")
    # of 71 bytes, behind which the middleware pads messages
    true = message_with(plain_packet(), frame_id="a long name")

    ros.spin_until(lambda: air.get_subscription_count() == 2)  # the attacker's and the test's

    def is_overheard():
        air.publish(true)
        change("attack")
        ros.spin_for(0.1)
        change("quiet")
        return any(message.station_id != 7 and message.format_id == 42 for message in heard)

    ros.spin_until(is_overheard)
    ros.spin_for(0.2)
    heard.clear()
    change("attack")
    ros.spin_until(lambda: len([m for m in heard if m.station_id != 7]) >= 100)
    copies = [message for message in heard if message.station_id != 7]
    assert {message.format_id for message in copies} == {42}
    assert {message.payload for message in copies} == {plain_packet().payload}
    assert {message.header.frame_id for message in copies} == {"a long name"}
    assert 1 < len({message.station_id for message in copies}) <= 30
    assert len({message.stamp_ns for message in copies}) == len(copies)


def overheard(ros, attack, kind, station=7):
    """What an attacker sends that has heard a true packet, and that packet."""
    heard = listen(ros, TOPIC)
    air = ros.node.create_publisher(BevIndices, TOPIC, qos.channel_input())
    change = attack(kind)
    change("quiet")
    true = plain_packet(station_id=station, tile_count=4, sequence=9)
    ros.spin_until(lambda: air.get_subscription_count() == 2)

    def is_overheard():
        air.publish(message_with(true))
        change("attack")
        ros.spin_for(0.1)
        change("quiet")
        ros.spin_for(0.1)
        return heard and heard[-1].sequence == true.sequence and len(heard) > 5

    ros.spin_until(is_overheard)
    ros.spin_for(0.2)
    heard.clear()
    change("attack")
    ros.spin_until(lambda: len(heard) >= 100)
    change("quiet")
    return heard, true


def test_newcomers_are_true_messages_in_ever_new_names(ros, attack):
    heard, true = overheard(ros, attack, "newcomers")
    assert len({message.station_id for message in heard}) == len(heard)
    assert {message.station_id in INVENTED for message in heard} == {True}
    assert {message.sequence for message in heard} == {true.sequence}


def test_echoes_are_the_true_messages_and_garbage_beside_them(ros, attack):
    heard, true = overheard(ros, attack, "echoes")
    assert {message.station_id for message in heard} == {true.station_id}
    garbage = [message for message in heard if message.data != true.content()]
    assert 0.3 < len(garbage) / len(heard) < 0.7
    assert {message.tile_index for message in garbage} == {1}
    assert {len(message.payload) for message in garbage} == {64}


@pytest.mark.parametrize("kind", ["copies", "echoes"])
def test_a_damaged_packet_is_not_taken_for_a_true_one(ros, attack, kind):
    damaged = message_with(plain_packet(station_id=7))
    damaged.packet[0] |= 3  # of a signature that is none
    air = ros.node.create_publisher(BevIndices, TOPIC, qos.channel_input())
    change = attack(kind)
    change("quiet")
    ros.spin_until(lambda: air.get_subscription_count() == 1)
    for _ in range(5):
        air.publish(damaged)
        air.publish(BevIndices())
    ros.spin_for(0.5)
    heard = listen(ros, TOPIC)
    ros.spin_for(0.2)
    change("attack")
    ros.spin_until(lambda: len(heard) >= 20)
    assert change("quiet") >= 20, "it lives on"
    assert 7 not in {packet.station_id for packet in heard}
