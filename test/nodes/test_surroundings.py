# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node says of a missing clock, and of publishers that mean another message."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan, PointCloud2

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.doctor.findings import ERROR, OK
from quantv2x_ros.doctor.graph import judge
from quantv2x_ros.doctor.graph_probe import GraphProbe
from quantv2x_ros.nodes.common.conversions import time_message
from quantv2x_ros.nodes.common.topic_watch import type_name
from quantv2x_ros.nodes.encoder.encoder import EncoderNode

WARN = DiagnosticStatus.WARN


@pytest.fixture
def encoder(ros, parameters):
    """Makes an encoder; returns what gives its newest status."""

    def make(**values):
        ros.add(EncoderNode(parameter_overrides=parameters(min_rate=0.0, **values)))
        heard = ros.collect(DiagnosticArray, "/diagnostics")
        return lambda: heard[-1].status[0] if heard else DiagnosticStatus()

    return make


def test_simulated_time_without_a_clock_is_said_until_there_is_one(ros, encoder, capfd):
    status = encoder(use_sim_time=True)
    ros.spin_until(lambda: "no message has come on /clock" in status().message)
    assert status().level == WARN
    assert "nobody publishes it" in status().message
    assert "--clock" in status().message
    clock = ros.node.create_publisher(Clock, "/clock", 10)
    ros.connect(clock)
    clock.publish(Clock(clock=time_message(5_000_000_000)))
    ros.spin_until(lambda: status().level == DiagnosticStatus.OK)
    ros.spin_until(lambda: "/clock (/probe) has stood at 5.000 s" in status().message)
    lines = [line for line in capfd.readouterr().err.splitlines() if "no message has come" in line]
    assert len(lines) == 1, "it is logged once"


def test_a_node_in_wall_time_needs_no_clock(ros, encoder):
    status = encoder()
    ros.spin_for(3.5)
    assert "/clock" not in status().message


@pytest.fixture
def scan_driver():
    """A node that publishes scans where clouds belong, of another process as DDS sees it."""
    context = rclpy.Context()
    context.init(["driver"])
    node = rclpy.create_node("driver", context=context)
    node.create_publisher(LaserScan, "/points", 10)
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_a_publisher_of_another_type_is_named_by_the_node_and_by_the_doctor(
    ros, encoder, scan_driver, capfd
):
    status = encoder()
    text = "/driver publishes sensor_msgs/msg/LaserScan, expected sensor_msgs/msg/PointCloud2"
    ros.spin_until(lambda: f"another type on /points: {text}" in status().message)
    assert status().level == WARN
    assert "-r points:=" in status().message
    assert text in capfd.readouterr().err
    probe = ros.add(GraphProbe())
    ros.spin_until(lambda: probe.observation(1.0).subscribers.get("/points"))
    findings = [f for f in judge(probe.observation(1.0)) if f.subject.endswith(" /points")]
    assert [f.level for f in findings] == [ERROR]
    assert "/driver publishes sensor_msgs/msg/LaserScan" in findings[0].text
    scan_driver.destroy_node()
    ros.spin_until(lambda: status().level == DiagnosticStatus.OK)
    ros.node.create_publisher(PointCloud2, "/points", 10)
    ros.spin_until(lambda: probe.observation(1.0).publishers["/points"] == ["/probe"])
    findings = [f for f in judge(probe.observation(1.0)) if f.subject == "input /points"]
    assert [f.level for f in findings] == [OK]
    assert status().level == DiagnosticStatus.OK


@pytest.mark.parametrize(
    ("kind", "name"),
    [(LaserScan, "sensor_msgs/msg/LaserScan"), (BevIndices, "quantv2x_msgs/msg/BevIndices")],
)
def test_types_are_named_as_in_the_graph(kind, name):
    assert type_name(kind) == name
