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

from quantv2x_msgs.msg import BevIndices, DetectedObject3D, DetectedObject3DArray
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.fusion.objects import box_pose, box_size
from quantv2x_ros.nodes.viewer import ViewerNode
from quantv2x_ros.viewer.page import Page, ViewerError

BOX = (12.0, -3.0, -1.0, 4.5, 2.0, 1.6, 0.7)


@pytest.fixture
def viewer(ros):
    """A viewer on any free port."""
    values = {"port": 0, "peer_points": "agent_2/points", "lifetime": 30.0}
    return ros.add(
        ViewerNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    )


def indices(station, x, payload=100):
    message = BevIndices(station_id=station, sequence=1, rows=64, columns=64)
    message.header = Header(stamp=time_message(10**9), frame_id=f"agent_{station}/lidar")
    message.cell_size_x = message.cell_size_y = 0.8
    message.origin_x = message.origin_y = -25.6
    message.sensor_pose.pose = pose_to_message(matrix_from_v2x([x, 0, 2, 0, 0, 0]))
    message.payload = bytes(payload)
    return message


def detections():
    message = DetectedObject3DArray(contributing_stations=[1, 2])
    message.header = Header(stamp=time_message(10**9), frame_id="agent_1/lidar")
    message.objects = [
        DetectedObject3D(class_name="truck", pose=box_pose(BOX), size=box_size(BOX), score=0.9)
    ]
    return message


def view(viewer):
    return viewer._scene.view(time.monotonic())


def test_it_shows_objects_stations_and_latency(ros, viewer):
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    found = ros.node.create_publisher(DetectedObject3DArray, "objects", 10)
    told = ros.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    ros.connect(air, found, told)
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
    assert (peer.station_id, peer.payload_bytes, peer.is_fused) == (2, 777, True)
    np.testing.assert_allclose(peer.pose[:3, 3], [30.0, 0.0, 0.0], atol=1e-9)


def test_clouds_are_read_only_while_somebody_looks(ros, viewer):
    clouds = ros.node.create_publisher(PointCloud2, "agent_2/points", 5)
    ros.connect(clouds)
    points = np.ones((50, 4), np.float32)
    clouds.publish(message_from_points(points, Header(frame_id="agent_2/lidar")))
    ros.spin_for(0.5)
    assert viewer._scene._clouds == {}


def test_the_cloud_of_a_roadside_unit_with_a_turned_grid_is_shown(ros, viewer, monkeypatch):
    monkeypatch.setattr(Page, "visitors", 1)  # else no cloud is read
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    found = ros.node.create_publisher(DetectedObject3DArray, "objects", 10)
    poses = ros.node.create_publisher(PoseWithCovarianceStamped, "agent_2/pose", 10)
    clouds = ros.node.create_publisher(PointCloud2, "agent_2/points", 5)
    ros.connect(air, found, poses, clouds)
    message = indices(2, 30.0)
    message.header.frame_id = "agent_2/lidar_grid"
    air.publish(indices(1, 0.0))
    air.publish(message)
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


def test_a_pose_that_is_none_is_dropped_and_counted(ros, viewer):
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    heard = ros.collect(DiagnosticArray, "/diagnostics", 50)
    ros.connect(air)
    message = indices(5, 0.0)
    message.sensor_pose.pose.orientation.w = 0.0
    air.publish(message)
    ros.spin_until(
        lambda: any(v.key == "dropped: pose" for m in heard for s in m.status for v in s.values)
    )
    assert view(viewer).agents == []


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
