# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in other frames than the model expects: the same indices and boxes come of them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")
pytest.importorskip("torch", reason="torch, which makes the bundle, is not installed")

from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import (
    PoseError,
    invert,
    matrix_from_quaternion,
    transform_points,
)
from quantv2x_ros.core.placement.cloud_placement import placement_of
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from test.nodes.packet_messages import sent_spread, tile_of

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

SECOND = 1_000_000_000
POINTS = np.random.default_rng(5).uniform((-20, -20, -2, 0), (20, 20, 0.9, 0), (3000, 4))
POINTS = (np.round(64 * POINTS) / 64 + 1 / 128).astype(np.float32)
# With these numbers and right angles no rounding is left: the model sees the same cloud to the bit.
MOUNTS = {
    "base_link": [1.25, 0.0, 1.875, 0.0, 0.0, 0.0],
    "y forward": [0.0, 0.0, 0.0, 0.0, 0.0, 90.0],
    "on its side": [0.0, 0.0, 0.5, 0.0, -90.0, 0.0],
    "upside down": [0.125, 0.25, -0.25, 180.0, 0.0, 0.0],
}
LIDAR_POSE = placement_of([40.0, -7.0, 2.0, 0.5, -0.5, 30.0]).extrinsics
SPREAD = np.diag([0.04, 0.04, 0.01, 0.0, 0.0, 0.0004]).reshape(36)


class Vehicle:
    """Publishes the cloud above as a LiDAR in another frame would, and that frame's pose."""

    def __init__(self, ros, nodes):
        self.ros = ros
        for node in nodes:
            ros.add(node)
        self.indices = ros.collect_packets()
        self.clouds = ros.node.create_publisher(PointCloud2, "points", 10)
        self.poses = ros.node.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        ros.connect(self.clouds, self.poses)

    def send(self, mount=(0.0,) * 6, scale=1.0):
        placement = placement_of(list(mount), scale)
        cloud = POINTS.copy()
        cloud[:, :3] = transform_points(POINTS, placement.extrinsics) / scale
        pose = pose_to_message(LIDAR_POSE @ invert(placement.extrinsics))
        stamp = time_message(10 * SECOND)
        header = Header(stamp=stamp, frame_id="map")
        posed = PoseWithCovariance(pose=pose, covariance=SPREAD)
        self.poses.publish(PoseWithCovarianceStamped(header=header, pose=posed))
        header = Header(stamp=stamp, frame_id="sensor")
        self.clouds.publish(message_from_points(cloud, header))

    def sent(self):
        self.ros.spin_until(lambda: self.indices)
        return self.indices[-1]


@pytest.fixture(scope="module")
def bundle(bundle_folder) -> ModelBundle:
    return ModelBundle.load(bundle_folder)


@pytest.fixture
def heard(ros, parameters, bundle):
    """Makes an encoder with some parameters, sends it the cloud, returns what it sends."""

    def hear(mount=(0.0,) * 6, scale=1.0, **values):
        values = {"bundle": str(bundle.folder), "max_payload_bytes": 0, **values}
        values = {"crop_ego_body": False, "pose_timeout": 5.0, **values}
        node = EncoderNode(parameter_overrides=parameters(**values))
        vehicle = Vehicle(ros, [node])
        vehicle.send(mount, scale)
        message = vehicle.sent()
        ros.remove(node)
        return message

    return hear


@pytest.mark.parametrize("name", MOUNTS)
def test_a_mounted_cloud_is_sent_as_its_lidar_would_see_it(heard, name):
    plain = heard()
    mounted = heard(MOUNTS[name], cloud_mount=MOUNTS[name])
    assert mounted.payload == plain.payload
    np.testing.assert_allclose(mounted.pose, sent_pose(LIDAR_POSE), atol=1e-9)
    assert mounted.header.frame_id == "sensor_lidar", "the cloud's own frame lies otherwise"
    assert heard(MOUNTS[name]).payload != plain.payload, "the mount makes the difference"


def test_a_pitched_cloud_is_put_upright(heard, bundle):
    mount = [0.0, 0.0, 0.0, 0.0, -15.0, 0.0]
    plain, mounted, left = heard(), heard(mount, cloud_mount=mount), heard(mount)

    def indices(message):
        return tile_of(message, bundle).indices

    same, other = (np.mean(indices(m) == indices(plain)) for m in (mounted, left))
    assert same > 0.99 > 0.95 > other, "but for rounding"


def test_the_pose_is_as_uncertain_as_the_way_from_the_clouds_frame_makes_it(heard):
    message = heard([5.0, 0.0, 0.0, 0.0, 0.0, 0.0], cloud_mount=[5.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    # by the heading's 0.02 rad, across the 30 degrees of the LiDAR's x axis
    across = np.array([-np.sin(np.radians(30.0)), np.cos(np.radians(30.0))])
    expected = SPREAD.reshape(6, 6).copy()
    expected[:2, :2] += 5.0**2 * 0.0004 * np.outer(across, across)
    assert message.spread == sent_spread(expected)
    assert message.spread != sent_spread(SPREAD)


def test_the_own_vehicle_is_cut_out_where_the_lidar_sees_it(heard):
    box = [-15.0, -3.0, 15.0, 15.0]
    plain = heard(crop_ego_body=True, ego_body_box=box)
    mount = MOUNTS["y forward"]
    mounted = heard(mount, cloud_mount=mount, crop_ego_body=True, ego_body_box=box)
    assert mounted.payload == plain.payload


def test_a_cloud_in_another_unit_is_read_with_its_scale(heard):
    plain = heard()
    mount = MOUNTS["base_link"]
    assert heard(mount, 1 / 1024, cloud_mount=mount, cloud_scale=1 / 1024).payload == plain.payload


@pytest.mark.parametrize("name", MOUNTS)
def test_boxes_and_markers_come_out_in_the_frame_of_the_cloud(ros, parameters, bundle, name):
    mount = MOUNTS[name]
    shared = {"bundle": str(bundle.folder), "clock_tolerance": 60.0, "crop_ego_body": False}
    shared["pose_timeout"] = 5.0
    objects, markers = {}, {}
    heard = ros.collect(DetectedObject3DArray, "objects")
    drawn = ros.collect(MarkerArray, "markers")
    for key, given in (("plain", [0.0] * 6), ("mounted", mount)):
        nodes = create_ego(parameter_overrides=parameters(**shared, cloud_mount=given))
        vehicle = Vehicle(ros, nodes)
        before = len(heard), len(drawn)
        vehicle.send(given)
        ros.spin_until(lambda seen=before: len(heard) > seen[0] and len(drawn) > seen[1])
        objects[key], markers[key] = heard[-1], drawn[-1]
        for node in nodes:
            ros.remove(node)
    assert objects["mounted"].header.frame_id == "sensor"
    matrix = placement_of(mount).extrinsics
    assert len(objects["plain"].objects) == len(objects["mounted"].objects) > 0
    for one, other in zip(objects["plain"].objects, objects["mounted"].objects, strict=True):
        np.testing.assert_allclose(as_matrix(other.pose), matrix @ as_matrix(one.pose), atol=1e-3)
        assert other.score == pytest.approx(one.score, abs=1e-5)
    pairs = zip(markers["plain"].markers, markers["mounted"].markers, strict=True)
    shown = [(one, other) for one, other in pairs if one.action == Marker.ADD]
    assert {one.type for one, _ in shown} >= {Marker.CUBE, Marker.LINE_LIST, Marker.SPHERE}
    for one, other in shown:
        np.testing.assert_allclose(as_matrix(other.pose), matrix @ as_matrix(one.pose), atol=1e-3)


def test_a_fusion_apart_from_its_encoder_gives_boxes_in_the_frame_of_the_cloud_too(
    ros, parameters, bundle
):
    mount, found = MOUNTS["upside down"], {}
    heard = ros.collect(DetectedObject3DArray, "objects")
    for key, given in (("plain", [0.0] * 6), ("mounted", mount)):
        shared = {"bundle": str(bundle.folder), "station_id": 1}
        sending = {"cloud_mount": given, "crop_ego_body": False, "pose_timeout": 5.0}
        nodes = [
            EncoderNode(parameter_overrides=parameters(**shared, **sending, max_payload_bytes=0)),
            FusionNode(parameter_overrides=parameters(**shared, clock_tolerance=60.0)),
        ]
        vehicle, before = Vehicle(ros, nodes), len(heard)
        ros.spin_until(lambda: ros.node.count_subscribers("level") >= 1)
        ros.spin_until(lambda: ros.node.count_subscribers("/v2x/bev_indices") >= 2)
        ros.spin_for(0.3)
        vehicle.send(given)
        ros.spin_until(lambda seen=before: len(heard) > seen)
        found[key] = heard[-1]
        for node in nodes:
            ros.remove(node)
    assert found["mounted"].header.frame_id == "sensor"
    matrix = placement_of(mount).extrinsics
    assert len(found["plain"].objects) == len(found["mounted"].objects) > 0
    for one, other in zip(found["plain"].objects, found["mounted"].objects, strict=True):
        np.testing.assert_allclose(as_matrix(other.pose), matrix @ as_matrix(one.pose), atol=1e-3)


def as_matrix(pose):
    place, turn = pose.position, pose.orientation
    return matrix_from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"cloud_mount": [1.0, 2.0]}, PoseError, "extrinsics: got"),
        ({"cloud_scale": 0.0}, ParameterError, "cloud_scale"),
    ],
)
def test_a_mount_that_is_none_ends_the_start(ros, parameters, values, error, text):
    with pytest.raises(error, match=text):
        EncoderNode(parameter_overrides=parameters(**values))


@pytest.mark.skipif(tf2_ros is not None, reason="tf2_ros is installed")
def test_a_frame_without_tf2_ends_the_start_and_says_what_to_do(ros, parameters):
    with pytest.raises(
        ParameterError, match=r"lidar_frame.*tf2_ros.*give the extrinsics as cloud_mount"
    ):
        EncoderNode(parameter_overrides=parameters(lidar_frame="lidar_top"))


@pytest.mark.skipif(tf2_ros is None, reason="tf2_ros is not installed (the wheels have none)")
def test_clouds_are_brought_to_a_frame_by_tf_and_then_by_the_mount(ros, parameters, bundle):
    from geometry_msgs.msg import TransformStamped

    below, above = [1.2, 0.3, 0.5, 0.0, 10.0, 90.0], [0.0, 0.0, 1.4, 0.0, 0.0, 0.0]
    shared = {"bundle": str(bundle.folder), "max_payload_bytes": 0, "crop_ego_body": False}
    plain = Vehicle(ros, [EncoderNode(parameter_overrides=parameters(**shared))])
    plain.send()
    payload = plain.sent().payload
    ros.remove(ros.nodes[-1])
    values = parameters(**shared, lidar_frame="base", cloud_mount=above, pose_timeout=5.0)
    vehicle = Vehicle(ros, [EncoderNode(parameter_overrides=values)])
    whole = placement_of(below).extrinsics @ placement_of(above).extrinsics
    pose = pose_to_message(placement_of(below).extrinsics)
    found = TransformStamped(header=Header(frame_id="sensor"), child_frame_id="base")
    found.transform.rotation = pose.orientation
    for name in "xyz":
        setattr(found.transform.translation, name, getattr(pose.position, name))
    cloud = POINTS.copy()
    cloud[:, :3] = transform_points(POINTS, whole)
    stamp = time_message(10 * SECOND)
    at = PoseWithCovariance(pose=pose_to_message(LIDAR_POSE @ invert(whole)), covariance=SPREAD)
    header = Header(stamp=stamp, frame_id="map")
    vehicle.poses.publish(PoseWithCovarianceStamped(header=header, pose=at))
    vehicle.clouds.publish(message_from_points(cloud, Header(stamp=stamp, frame_id="sensor")))
    ros.spin_for(0.3)
    assert not vehicle.indices, "it waits for the transform"
    tf2_ros.StaticTransformBroadcaster(ros.node).sendTransform(found)
    message = vehicle.sent()
    assert message.payload == payload
    assert message.header.frame_id == "base_lidar"
