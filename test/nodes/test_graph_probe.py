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
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.doctor.findings import ERROR, WARNING
from quantv2x_ros.doctor.graph import judge
from quantv2x_ros.doctor.graph_probe import GraphProbe
from quantv2x_ros.nodes.common import qos
from test.nodes.packet_messages import message_with, plain_packet


def test_it_sees_nodes_policies_stations_codebooks_and_complaints(ros):
    encoder = ros.add(rclpy.create_node("encoder"))
    driver = ros.add(rclpy.create_node("driver", namespace="car"))
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    encoder.create_subscription(PointCloud2, "points", lambda _: None, reliable)
    driver.create_publisher(PointCloud2, "/points", best_effort)
    announcer = encoder.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    announcer.publish(Codebook(station_id=4, bundle_name="b", bundle_version="1", format_id=9))
    air = encoder.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    told = encoder.create_publisher(DiagnosticArray, "/diagnostics", 10)
    probe = ros.add(GraphProbe())
    ros.connect(air, told)
    tile = plain_packet(station_id=4, sequence=1, tile_count=2)
    air.publish(message_with(tile.with_values(payload=bytes(60))))
    air.publish(message_with(tile.with_values(tile_index=1, payload=bytes(40))))
    status = DiagnosticStatus(level=DiagnosticStatus.WARN, name="/encoder", message="no pose")
    told.publish(DiagnosticArray(status=[status]))

    def everything():
        seen = probe.observation(1.0)
        return (
            seen.codebooks and seen.troubles and seen.stations
            and seen.stations[4].mean_bytes == 228 and seen.subscribers.get("/points")
            and seen.publishers.get("/points")
        )  # fmt: skip

    ros.spin_until(everything)
    seen = probe.observation(1.0)
    assert {"/encoder", "/car/driver"} <= set(seen.nodes)
    assert "/doctor" not in seen.nodes
    assert seen.stations[4].mean_bytes == 228, "of a sweep, with its two headers"
    assert seen.codebooks == {4: ("b 1", 9)}
    assert seen.troubles == {"/encoder": (1, "no pose")}
    (cloud,) = [c for c in seen.connections if c.topic == "/points"]
    assert (cloud.publisher, cloud.subscriber) == ("/car/driver", "/encoder")
    assert "eliab" in cloud.problem or "est effort" in cloud.problem
    errors = {finding.subject for finding in judge(seen) if finding.level == ERROR}
    assert errors == {"topic /points"}


def test_stations_that_share_an_id_are_named_and_the_network_is_not_blamed(ros):
    cars = [ros.add(rclpy.create_node("encoder", namespace=name)) for name in ("red", "blue")]
    probe = ros.add(GraphProbe())
    for number, car in enumerate(cars):
        announcer = car.create_publisher(Codebook, "/v2x/codebook", qos.latched())
        message = Codebook(station_id=1, bundle_name="b", bundle_version="1", format_id=9)
        message.header.stamp.sec = 100 + number
        announcer.publish(message)
    ros.spin_until(lambda: 1 in probe.observation(1.0).shared)
    assert "announced itself 2 times" in probe.observation(1.0).shared[1]
    air = cars[0].create_publisher(BevIndices, "/v2x/bev_indices", 10)
    ros.connect(air)
    for number in range(6):
        pose = matrix_from_v2x([45.0 * (number % 2), 0, 0, 0, 0, 0])
        values = {"sequence": number, "stamp_ns": 50_000_000 * number}
        air.publish(message_with(plain_packet(station_id=1, pose=pose, **values)))
    ros.spin_until(lambda: "in two places" in probe.observation(1.0).shared[1])
    found = judge(probe.observation(1.0))
    (shared,) = [finding for finding in found if finding.subject == "station ids"]
    assert shared.level == ERROR
    assert "(0.0, 0.0) m and (45.0, 0.0) m, 45 m apart" in shared.text
    assert "station_id" in shared.remedy
    assert not any("firewall" in finding.remedy for finding in found)


def test_bytes_that_are_no_packet_are_named_and_the_probe_lives_on(ros):
    encoder = ros.add(rclpy.create_node("encoder"))
    air = encoder.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    probe = ros.add(GraphProbe())
    ros.connect(air)
    damaged = message_with(plain_packet(station_id=4))
    damaged.packet[-1] ^= 1
    air.publish(damaged)
    air.publish(message_with(plain_packet(station_id=5)))
    ros.spin_until(lambda: probe.observation(1.0).stations)
    seen = probe.observation(1.0)
    assert set(seen.stations) == {5}
    (finding,) = [found for found in judge(seen) if found.subject == "/v2x/bev_indices"]
    assert finding.level == WARNING
    assert "packet of station 4 has CRC" in finding.text
