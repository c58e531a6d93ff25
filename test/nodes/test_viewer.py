# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The viewer node, alive: what it hears is what it would show."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices, Codebook, DetectedObject3D, DetectedObject3DArray
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.fusion.objects import box_pose, box_size
from quantv2x_ros.nodes.viewer import ViewerNode
from quantv2x_ros.viewer.page import Page, ViewerError
from test.nodes.packet_messages import message_with, plain_packet, without_orientation

BOX = (12.0, -3.0, -1.0, 4.5, 2.0, 1.6, 0.7)


@pytest.fixture
def viewer(ros):
    """A viewer on any free port."""
    values = {"port": 0, "peer_points": "agent_2/points", "lifetime": 30.0}
    return ros.add(
        ViewerNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    )


def codebook(format_id=42, station=1):
    """Announces a format of packets, and how far its maps reach."""
    message = Codebook(station_id=station, format_id=format_id, rows=64, columns=32)
    message.cell_size_x = message.cell_size_y = 0.8
    message.origin_x = message.origin_y = -25.6
    return message


def indices(station, x, payload=100, frame="lidar", format_id=42):
    pose = matrix_from_v2x([x, 0, 2, 0, 0, 0])
    values = {"station_id": station, "sequence": 1, "stamp_ns": 10**9, "format_id": format_id}
    packet = plain_packet(pose=pose, payload=bytes(payload), **values)
    return message_with(packet, f"agent_{station}/{frame}")


@pytest.fixture
def air(ros, viewer):
    """Publishes indices of a format that the viewer knows."""
    announcer = ros.node.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    announcer.publish(codebook())
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    ros.connect(air)
    ros.spin_until(lambda: viewer._extents)
    return air


@pytest.fixture
def stations(ros, viewer, air):
    """Lets the ego be heard, and returns the stations that are shown with it."""
    found = ros.node.create_publisher(DetectedObject3DArray, "objects", 10)

    def shown():
        ros.connect(found)
        found.publish(detections())
        air.publish(indices(1, 0.0))
        ros.spin_until(lambda: view(viewer).agents)
        return [agent.station_id for agent in view(viewer).agents]

    return shown


def dropped(messages, reason):
    """What the newest diagnostics say of a reason for drops."""
    values = [v for m in messages for s in m.status for v in s.values]
    found = [v.value for v in values if v.key == f"dropped: {reason}"]
    return found[-1] if found else ""


def detections():
    message = DetectedObject3DArray(contributing_stations=[1, 2])
    message.header = Header(stamp=time_message(10**9), frame_id="agent_1/lidar")
    message.objects = [
        DetectedObject3D(class_name="truck", pose=box_pose(BOX), size=box_size(BOX), score=0.9)
    ]
    return message


def view(viewer):
    return viewer._scene.view(time.monotonic())


def test_it_shows_objects_stations_and_latency(ros, viewer, air):
    found = ros.node.create_publisher(DetectedObject3DArray, "objects", 10)
    told = ros.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    ros.connect(found, told)
    air.publish(indices(1, 0.0))
    air.publish(indices(2, 30.0, payload=777))
    found.publish(detections())
    values = {"sweep to objects p50 [ms]": "81.0", "sweep to objects p95 [ms]": "95.5"}
    values["dropped: codebook"] = "2 (station 9)"
    status = DiagnosticStatus(name="/fusion")
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    told.publish(DiagnosticArray(status=[status]))
    ros.spin_until(lambda: view(viewer).latency_ms and len(view(viewer).agents) == 2)
    shown = view(viewer)
    np.testing.assert_allclose(shown.boxes["truck"], [BOX], atol=1e-6)
    assert shown.latency_ms == (81.0, 95.5)
    assert shown.dropped == {"codebook": "2 (station 9)"}
    peer = shown.agents[1]
    assert (peer.station_id, peer.sweep_bytes, peer.is_fused) == (2, 777 + HEADER_BYTES, True)
    np.testing.assert_allclose(peer.pose[:3, 3], [30.0, 0.0, 0.0], atol=1e-9)
    reach = [peer.footprint[:, :2].min(axis=0), peer.footprint[:, :2].max(axis=0)]
    np.testing.assert_allclose(reach, [[4.4, -25.6], [30.0, 25.6]], atol=1e-5)


def test_clouds_are_read_only_while_somebody_looks(ros, viewer):
    clouds = ros.node.create_publisher(PointCloud2, "agent_2/points", 5)
    ros.connect(clouds)
    points = np.ones((50, 4), np.float32)
    clouds.publish(message_from_points(points, Header(frame_id="agent_2/lidar")))
    ros.spin_for(0.5)
    assert viewer._scene._clouds == {}


def test_the_cloud_of_a_roadside_unit_with_a_turned_grid_is_shown(ros, viewer, air, monkeypatch):
    monkeypatch.setattr(Page, "visitors", 1)  # else no cloud is read
    found = ros.node.create_publisher(DetectedObject3DArray, "objects", 10)
    poses = ros.node.create_publisher(PoseWithCovarianceStamped, "agent_2/pose", 10)
    clouds = ros.node.create_publisher(PointCloud2, "agent_2/points", 5)
    ros.connect(found, poses, clouds)
    air.publish(indices(1, 0.0))
    air.publish(indices(2, 30.0, frame="lidar_grid"))
    found.publish(detections())
    pose = PoseWithCovarianceStamped()
    pose.pose.pose = pose_to_message(matrix_from_v2x([30, 0, 2, 0, 90, 0]))
    poses.publish(pose)
    ros.spin_until(lambda: viewer._poses)
    points = np.array([[10.0, 1.0, -2.0, 0.0]], np.float32)
    clouds.publish(message_from_points(points, Header(frame_id="agent_2/lidar")))
    ros.spin_until(lambda: len(view(viewer).agents) == 2 and viewer._scene._clouds)
    # the sensor looks along the map's y axis, the grid lies along x
    np.testing.assert_allclose(view(viewer).agents[1].cloud, [[-1.0, 10.0, -2.0]], atol=1e-5)
    viewer.time_jumped_back()
    assert view(viewer).agents == []
    assert not viewer._poses, "a pose of another time would turn the next cloud"


def test_a_pose_that_is_none_is_dropped_and_counted(ros, air, stations):
    told = ros.collect(DiagnosticArray, "/diagnostics", 50)
    air.publish(without_orientation(indices(5, 0.0)))
    ros.spin_until(lambda: dropped(told, "pose"))
    assert stations() == [1]


def test_a_damaged_packet_is_dropped_and_counted(ros, air, stations):
    told = ros.collect(DiagnosticArray, "/diagnostics", 50)
    message = indices(5, 0.0)
    message.packet[-1] ^= 1
    air.publish(message)
    ros.spin_until(lambda: dropped(told, "crc"))
    assert stations() == [1]


def test_a_station_is_shown_once_its_format_is_announced(ros, viewer, air, stations):
    told = ros.collect(DiagnosticArray, "/diagnostics", 50)
    air.publish(indices(5, 0.0, format_id=7))
    ros.spin_until(lambda: dropped(told, "format"))
    text = "1 (station 5 sends packets of format 0000000000000007, which no station has announced"
    assert dropped(told, "format").startswith(text)
    assert stations() == [1]
    announcer = ros.node.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    announcer.publish(codebook(format_id=7))
    ros.spin_until(lambda: len(viewer._extents) == 2)
    viewer.time_jumped_back()
    air.publish(indices(5, 0.0, format_id=7))
    ros.spin_for(0.2)
    assert stations() == [1, 5], "its announcement outlives a jump in time: it comes once"


def test_a_grid_that_is_not_finite_is_dropped_and_counted(ros, viewer):
    told = ros.collect(DiagnosticArray, "/diagnostics", 50)
    announcer = ros.node.create_publisher(Codebook, "/v2x/codebook", qos.latched())
    message = codebook()
    message.origin_x = float("nan")
    announcer.publish(message)
    ros.spin_until(lambda: dropped(told, "grid"))
    assert not viewer._extents


def test_of_a_flood_of_formats_the_newest_are_remembered(viewer):
    for number in range(1000):
        viewer._on_codebook(codebook(format_id=number))
    assert list(viewer._extents) == list(range(936, 1000))
    viewer._on_codebook(codebook(format_id=936))
    viewer._on_codebook(codebook(format_id=1000))
    assert 936 in viewer._extents, "one that is announced again is new"
    assert 937 not in viewer._extents


def test_it_serves_the_page_on_loopback_and_ends_with_the_node(ros, viewer):
    assert viewer.url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(viewer.url, timeout=10) as answer:
        assert b"<html" in answer.read(2000).lower()


def test_a_taken_port_ends_the_start_with_a_clear_error(ros, viewer):
    port = int(viewer.url.rsplit(":", 1)[1])
    with pytest.raises(ViewerError, match=str(port)):
        ViewerNode(parameter_overrides=[Parameter("port", value=port)])


def test_as_a_process_it_serves_until_it_is_interrupted():
    """The way the launch file and the demo start it."""
    command = [sys.executable, "-m", "quantv2x_ros.nodes", "viewer", "--ros-args", "-p", "port:=0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        address = None
        for line in process.stdout:
            address = re.search(r"open (http://127\.0\.0\.1:\d+) in a browser", line)
            if address:
                break
        assert address, "it ended before it served"
        with urllib.request.urlopen(address[1], timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        output = process.stdout.read()
        assert process.wait(30) == 0, output
    assert "Traceback" not in output
