# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies that do not fit are said in words: topic and policy."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_ros.nodes.encoder import EncoderNode

WANTED = "qos_overrides./points.subscription.reliability"


def test_a_publisher_that_cannot_be_heard_is_named_by_topic_and_policy(ros, parameters, capfd):
    overrides = [*parameters(), Parameter(WANTED, value="reliable")]
    ros.add(EncoderNode(parameter_overrides=overrides))
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    ros.node.create_publisher(PointCloud2, "points", best_effort)
    said = []

    def warnings():
        said.append(capfd.readouterr().err)
        lines = "".join(said).splitlines()
        return [line for line in lines if "[encoder]" in line and "incompatible QoS" in line]

    ros.spin_until(warnings)
    (line,) = warnings()
    assert "points" in line
    assert "RELIABILITY" in line


def test_policies_that_fit_are_not_spoken_of(ros, parameters, capfd):
    ros.add(EncoderNode(parameter_overrides=parameters()))
    publisher = ros.node.create_publisher(PointCloud2, "points", 1)
    heard = ros.collect(DiagnosticArray, "/diagnostics")
    ros.connect(publisher)
    ros.spin_until(lambda: heard)
    assert "incompatible" not in capfd.readouterr().err
