# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An encoder says what seems to be wrong with its clouds, and sends what it can all the same."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.pose import extrinsics_matrix, transform_points
from quantv2x_ros.core.placement.cloud_placement import placement_of
from quantv2x_ros.data.frame import read_cloud
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.encoder.encoder import EncoderNode

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A simulated cloud of a vehicle."""
    root = tmp_path_factory.mktemp("street")
    write_scenario(root, seed=41, frames=1, agents=1)
    (file,) = root.rglob("*.bin")
    return read_cloud(file, infrastructure=False)


class Vehicle:
    """An encoder node, its sensors, and what it says of itself."""

    def __init__(self, ros, parameters, **values):
        fixed = {"min_rate": 0.0, "stage_limits": "", "pose_timeout": 5.0, **values}
        self.ros = ros
        self.node = ros.add(EncoderNode(parameter_overrides=parameters(**fixed)))
        self.heard = ros.collect(DiagnosticArray, "/diagnostics")
        self.sent = ros.collect(BevIndices, "/v2x/bev_indices")
        self.clouds = ros.node.create_publisher(PointCloud2, "points", 10)
        self.poses = ros.node.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        ros.connect(self.clouds, self.poses)
        self.number = 0

    @property
    def status(self):
        return self.heard[-1].status[0] if self.heard else DiagnosticStatus()

    def send(self, points, frame="lidar", pose=None):
        """Send a sweep, and wait for what comes of it."""
        self.number += 1
        stamp = time_message(time.time_ns())
        message = PoseWithCovarianceStamped(header=Header(stamp=stamp, frame_id="map"))
        message.pose.pose = pose_to_message(np.eye(4) if pose is None else pose)
        self.poses.publish(message)
        self.clouds.publish(message_from_points(points, Header(stamp=stamp, frame_id=frame)))
        self.ros.spin_until(lambda: any(tile.header.stamp == stamp for tile in self.sent))

    def drive(self, points, until, count=60):
        """Send sweeps until the diagnostics hold a text, and return them; fail if they do not."""
        for _ in range(count):
            self.send(points)
            self.ros.spin_for(0.1)
            if re.search(until, self.status.message):
                return self.status
        raise AssertionError(f"not said: {until!r} but {self.status.message!r}")


def laid(cloud, mount):
    moved = cloud.copy()
    moved[:, :3] = transform_points(cloud, placement_of(mount).extrinsics)
    return moved


def test_a_good_cloud_is_ok(ros, parameters, street):
    vehicle = Vehicle(ros, parameters)
    for _ in range(30):
        vehicle.send(street)
        ros.spin_for(0.1)
    assert vehicle.status.level == OK, vehicle.status.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c * np.float32(1000), r"seems to be in millimetres.*cloud_scale: 0\.001"),
        (lambda c: c + np.float32([4e5, 5.4e6, 0, 0]), "map or UTM coordinates"),
        (lambda c: c * np.float32(np.nan), "no point whose x, y and z are finite"),
        (lambda c: laid(c, [0, 0, 2.0, 0, 0, 0]), r"m below the cloud's origin.*cloud_mount: \["),
        (lambda c: laid(c, [0, 0, 0, 180, 0, 0]), r"upside down.*cloud_mount: \[.*1[78]\d\.\d, "),
    ],
    ids=["millimetres", "map", "NaN", "base_link", "upside down"],
)
def test_a_cloud_that_lies_otherwise_is_said_once_it_stays_so(
    ros, parameters, street, change, words, capfd
):
    vehicle = Vehicle(ros, parameters)
    status = vehicle.drive(change(street), words)
    assert status.level == WARN
    ros.spin_for(0.5)
    lines = [line for line in capfd.readouterr().err.splitlines() if re.search(words, line)]
    assert len(lines) == 1, "it is logged once"
    vehicle.drive(street, r"sweeps$", 120)


def test_what_is_said_is_what_to_set(ros, parameters, street):
    moved = laid(street, [0.0, 0.0, 2.0, 0.0, 20.0, 0.0])
    vehicle = Vehicle(ros, parameters)
    status = vehicle.drive(moved, "cloud_mount: ")
    numbers = [float(n) for n in re.search(r"cloud_mount: \[(.*)\]", status.message)[1].split(",")]
    ros.remove(vehicle.node)
    ros.node.destroy_publisher(vehicle.clouds)
    righted = Vehicle(ros, parameters, cloud_mount=numbers)
    for _ in range(30):
        righted.send(moved)
        ros.spin_for(0.1)
    assert righted.status.level == OK, righted.status.message


def test_it_can_be_left_out(ros, parameters, street):
    vehicle = Vehicle(ros, parameters, check_clouds=False)
    for _ in range(30):
        vehicle.send(street * np.float32(1000))
        ros.spin_for(0.1)
    assert vehicle.status.level == OK


def test_a_vehicle_that_moves_sideways_is_told(ros, parameters, street):
    vehicle = Vehicle(ros, parameters)
    for metres in range(25):  # y forward, as the pose has it, too
        vehicle.send(street, pose=extrinsics_matrix([metres, 0, 0, 0, 0, -90.0]))
    ros.spin_until(lambda: "moves 90° to the left of its x axis" in vehicle.status.message)
    assert vehicle.status.level == WARN
    assert "cloud_mount: [0.0, 0.0, 0.0, 0.0, 0.0, 90.0]" in vehicle.status.message


def test_two_lidars_on_a_topic_are_named(ros, parameters, street):
    vehicle = Vehicle(ros, parameters)
    for number in range(8):
        vehicle.send(street, frame=("front", "rear")[number % 2])
    text = r"clouds of several LiDARs on /points: .*'front' and 'rear', 7 changes within 8 clouds"
    ros.spin_until(lambda: re.search(text, vehicle.status.message))
    assert vehicle.status.level == WARN


def test_two_drivers_on_a_topic_are_named_though_their_frames_are_the_same(ros, parameters, street):
    vehicle = Vehicle(ros, parameters)
    vehicle.send(street)
    ros.spin_for(1.0)
    assert vehicle.status.level == OK
    other = ros.add(rclpy.create_node("rear_driver"))
    other.create_publisher(PointCloud2, "points", 10)
    ros.spin_until(lambda: "2 publishers (/probe, /rear_driver)" in vehicle.status.message)
    assert vehicle.status.level == WARN
    ros.remove(other)
    ros.spin_until(lambda: vehicle.status.level == OK)


@pytest.mark.parametrize("used", [False, True])
def test_intensity_that_is_not_finite_matters_where_it_is_used(ros, parameters, street, used):
    blind = street.copy()
    blind[:, 3] = np.nan
    vehicle = Vehicle(ros, parameters, use_intensity=used)
    vehicle.send(blind)
    received = "0" if used else f"{len(street)}"

    def values():
        return {item.key: item.value for item in vehicle.status.values}

    ros.spin_until(lambda: values().get("points received") == received)
    if used:
        assert f"not finite in {len(street):,} of {len(street):,} points" in vehicle.status.message
        assert "use_intensity: false" in vehicle.status.message
    else:
        assert vehicle.status.level == OK
