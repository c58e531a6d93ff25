# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The doctor's probe, in a real graph."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.doctor.findings import ERROR
from quantv2x_ros.doctor.graph import judge
from quantv2x_ros.doctor.graph_probe import GraphProbe
from quantv2x_ros.nodes import qos


def test_it_sees_nodes_policies_stations_codebooks_and_complaints(ros):
    encoder = ros.add(rclpy.create_node("encoder"))
    driver = ros.add(rclpy.create_node("driver", namespace="car"))
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    encoder.create_subscription(PointCloud2, "points", lambda _: None, reliable)
    driver.create_publisher(PointCloud2, "/points", best_effort)
    announcer = encoder.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    announcer.publish(Codebook(station_id=4, bundle_name="b", bundle_version="1", codebook_id=9))
    air = encoder.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    told = encoder.create_publisher(DiagnosticArray, "/diagnostics", 10)
    probe = ros.add(GraphProbe())
    ros.connect(air, told)
    air.publish(BevIndices(station_id=4, sequence=1, payload=bytes(60)))
    air.publish(BevIndices(station_id=4, sequence=1, payload=bytes(40)))
    status = DiagnosticStatus(level=DiagnosticStatus.WARN, name="/encoder", message="no pose")
    told.publish(DiagnosticArray(status=[status]))

    def everything():
        seen = probe.observation(1.0)
        return (
            seen.codebooks and seen.troubles and seen.stations
            and seen.stations[4].mean_bytes == 100 and seen.subscribers.get("/points")
            and seen.publishers.get("/points")
        )  # fmt: skip

    ros.spin_until(everything)
    seen = probe.observation(1.0)
    assert {"/encoder", "/car/driver"} <= set(seen.nodes)
    assert "/doctor" not in seen.nodes
    assert seen.stations[4].mean_bytes == 100
    assert seen.codebooks == {4: ("b 1", 9)}
    assert seen.troubles == {"/encoder": (1, "no pose")}
    (cloud,) = [c for c in seen.connections if c.topic == "/points"]
    assert (cloud.publisher, cloud.subscriber) == ("/car/driver", "/encoder")
    assert "eliab" in cloud.problem or "est effort" in cloud.problem
    errors = {finding.subject for finding in judge(seen) if finding.level == ERROR}
    assert errors == {"topic /points"}
