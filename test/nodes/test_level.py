# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An ego that levels its cloud publishes its objects in its LiDAR's own frame, as detect does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from transforms3d.euler import euler2mat

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.placement.levelling import Levelling, in_sensor_frame, levelled_points
from quantv2x_ros.demo.pictures import detections_of
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode

SECOND = 1_000_000_000
#: All cells in one message.
WHOLE = {
    "station_id": 1,
    "crop_ego_body": False,
    "min_occupancy": 0.0,
    "max_payload_bytes": 0,
}


def tilted_street() -> np.ndarray:
    """Ground and a few objects on it, as a sensor sees them that is mounted with a tilt."""
    rng = np.random.default_rng(1)
    points = rng.uniform((-30, -30, 0, 0), (30, 30, 0, 0), (8000, 4))
    points[:2000, 2] += rng.uniform(0.2, 2.0, 2000)
    points[:, 2] -= 1.6
    points[:, :3] = points[:, :3] @ euler2mat(np.radians(2.0), np.radians(3.0), 0.0).T
    return points.astype(np.float32)


@pytest.fixture(scope="module")
def bundle(bundle_folder) -> ModelBundle:
    return ModelBundle.load(bundle_folder)


@pytest.fixture
def send(ros):
    """Publishes a pose and the cloud of a street."""
    clouds = ros.node.create_publisher(PointCloud2, "points", 10)
    poses = ros.node.create_publisher(PoseWithCovarianceStamped, "pose", 10)

    def publish(seconds: int) -> None:
        ros.connect(clouds, poses)
        header = Header(stamp=time_message(seconds * SECOND), frame_id="map")
        pose = PoseWithCovariance(pose=pose_to_message(matrix_from_v2x([5, 0, 0, 0, 30, 0])))
        poses.publish(PoseWithCovarianceStamped(header=header, pose=pose))
        header = Header(stamp=header.stamp, frame_id="lidar")
        clouds.publish(message_from_points(tilted_street(), header))

    return publish


def expected(bundle: ModelBundle) -> tuple:
    """Boxes in the LiDAR's frame, and those in the levelled one."""
    cloud = tilted_street()
    level = Levelling(bundle.sensor_heights).update(cloud, 0.0)
    detector = CooperativeDetector(bundle, threads=1)
    sweep = AgentEncoder(bundle, threads=1, keep_own=True).encode(levelled_points(cloud, level))
    pyramid = detector.pyramid(sweep.indices)
    found = detector.fuse([pyramid], np.eye(4)[None]).detections
    assert len(found)
    return in_sensor_frame(found, level), found


def assert_same(message: DetectedObject3DArray, found) -> None:
    published = detections_of(message)
    assert len(published) == len(found)
    np.testing.assert_allclose(published.boxes[:, :6], found.boxes[:, :6], atol=1e-3)
    np.testing.assert_allclose(published.scores, found.scores, atol=1e-5)


def test_objects_of_an_ego_are_in_its_lidar_s_frame(ros, parameters, bundle, send):
    values = parameters(clock_tolerance=60.0, crop_ego_body=False)
    for node in create_ego(parameter_overrides=values):
        ros.add(node)
    objects = ros.collect(DetectedObject3DArray, "objects")
    indices = ros.collect(BevIndices, "/v2x/bev_indices")
    send(10)
    ros.spin_until(lambda: objects and indices)
    in_lidar, in_level = expected(bundle)
    assert objects[0].header.frame_id == "lidar"
    assert indices[0].header.frame_id == "lidar_level"
    assert_same(objects[0], in_lidar)
    assert np.abs(in_lidar.boxes - in_level.boxes).max() > 0.1


def test_so_are_those_of_a_fusion_whose_encoder_is_elsewhere(ros, parameters, bundle, send):
    encoder = ros.add(EncoderNode(parameter_overrides=parameters(**WHOLE)))
    fusion = ros.add(FusionNode(parameter_overrides=parameters(station_id=1, clock_tolerance=60.0)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    heard = ("/level", "/own_indices", "/v2x/bev_indices")
    ros.connect(*(p for p in encoder.publishers if p.topic_name in heard))
    send(10)
    ros.spin_until(lambda: objects)
    assert objects[0].header.frame_id == "lidar"
    in_lidar, _ = expected(bundle)
    assert_same(objects[0], in_lidar)
    assert fusion._levels.unknown == 0


def test_without_the_transform_the_frame_s_name_says_that_it_is_the_levelled_one(
    ros, parameters, bundle, send
):
    ros.add(
        EncoderNode(
            parameter_overrides=parameters(**WHOLE),
            cli_args=["--ros-args", "-r", "level:=elsewhere"],
        )
    )
    fusion = ros.add(FusionNode(parameter_overrides=parameters(station_id=1, clock_tolerance=60.0)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    ros.spin_until(lambda: ros.node.count_subscribers("/v2x/bev_indices") >= 1)
    send(10)
    ros.spin_until(lambda: objects)
    assert objects[0].header.frame_id == "lidar_level"
    _, in_level = expected(bundle)
    assert_same(objects[0], in_level)
    assert fusion._levels.unknown == 1
