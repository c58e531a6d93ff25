# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a sweep's pose comes from: a pose topic, odometry, or TF."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import (
    PoseWithCovariance,
    PoseWithCovarianceStamped,
    Transform,
    TransformStamped,
    Vector3,
)
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import PoseError, extrinsics_matrix, matrix_from_v2x
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from test.nodes.packet_messages import sent_spread

try:
    import tf2_ros
    from tf2_msgs.msg import TFMessage
except ImportError:
    tf2_ros = None

needs_tf2 = pytest.mark.skipif(
    tf2_ros is None, reason="tf2_ros is not installed (the PyPI wheels of ROS 2 have none)"
)
SECOND = 1_000_000_000
POINTS = np.random.default_rng(5).uniform((-20, -20, -2, 0), (20, 20, 1, 1), (500, 4))
POINTS = POINTS.astype(np.float32)
SPREAD = np.diag([0.04, 0.04, 0.01, 0.0, 0.0, 0.01]).reshape(36)


class Agent:
    """An encoder node with a LiDAR, and whatever tells its pose."""

    def __init__(self, ros, parameters, source, **values):
        values = {"max_payload_bytes": 0, "pose_timeout": 0.3, "pose_source": source, **values}
        self.ros = ros
        self.node = ros.add(EncoderNode(parameter_overrides=parameters(**values)))
        self.indices = ros.collect_packets()
        self.diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
        self.clouds = ros.node.create_publisher(PointCloud2, "points", 10)
        ros.connect(self.clouds)

    def publisher(self, message_type, topic, qos=100):
        publisher = self.ros.node.create_publisher(message_type, topic, qos)
        self.ros.connect(publisher)
        return publisher

    def cloud(self, stamp_ns, frame="lidar"):
        header = Header(stamp=time_message(stamp_ns), frame_id=frame)
        self.clouds.publish(message_from_points(POINTS, header))

    def sent(self, count=1):
        """Wait for so many sweeps; return the newest one's pose as a matrix."""
        self.ros.spin_until(lambda: len(self.indices) >= count)
        return self.indices[-1].pose

    def dropped(self, reason):
        def text():
            values = {v.key: v.value for v in self.diagnostics[-1].status[0].values}
            return values.get(f"dropped: {reason}")

        self.ros.spin_until(lambda: self.diagnostics and text())
        return text()


def pose_of(matrix, covariance=SPREAD):
    return PoseWithCovariance(pose=pose_to_message(matrix), covariance=covariance)


def odometry(stamp_ns, matrix, frame="map"):
    header = Header(stamp=time_message(stamp_ns), frame_id=frame)
    return Odometry(header=header, child_frame_id="base_link", pose=pose_of(matrix))


def transform(stamp_ns, matrix, parent="map", child="base_link"):
    pose = pose_to_message(matrix)
    place = Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z)
    return TransformStamped(
        header=Header(stamp=time_message(stamp_ns), frame_id=parent),
        child_frame_id=child,
        transform=Transform(translation=place, rotation=pose.orientation),
    )


def at(x, heading=0.0):
    return matrix_from_v2x([x, 5, 0, 0, heading, 0])


def test_odometry_is_interpolated_and_moved_to_the_lidar(ros, parameters):
    agent = Agent(ros, parameters, "odometry", sensor_mount=[1.2, 0.0, 1.8, 0.0, 0.0, 180.0])
    publisher = agent.publisher(Odometry, "odometry")
    publisher.publish(odometry(10 * SECOND, at(0.0, 90.0)))
    publisher.publish(odometry(10 * SECOND + SECOND // 10, at(2.0, 90.0)))
    agent.cloud(10 * SECOND + SECOND // 20)
    expected = at(1.0, 90.0) @ extrinsics_matrix([1.2, 0.0, 1.8, 0.0, 0.0, 180.0])
    np.testing.assert_allclose(agent.sent(), sent_pose(expected), atol=1e-9)
    moved = np.diag([0.04 + 1.2**2 * 0.01, 0.04, 0.0, 0.0, 0.0, 0.01])
    assert agent.indices[0].spread == sent_spread(moved), "heading moves it along x here"
    assert agent.indices[0].spread != sent_spread(SPREAD)


def test_poses_of_the_vehicle_are_moved_to_the_lidar_too(ros, parameters):
    agent = Agent(ros, parameters, "pose", sensor_mount=[0.0, 0.0, 2.0, 0.0, 0.0, 0.0])
    publisher = agent.publisher(PoseWithCovarianceStamped, "pose")
    header = Header(stamp=time_message(10 * SECOND), frame_id="map")
    publisher.publish(PoseWithCovarianceStamped(header=header, pose=pose_of(at(3.0))))
    agent.cloud(10 * SECOND)
    np.testing.assert_allclose(agent.sent()[:3, 3], [3.0, 5.0, 2.0])


def test_odometry_in_another_frame_is_dropped_and_counted(ros, parameters):
    agent = Agent(ros, parameters, "odometry")
    publisher = agent.publisher(Odometry, "odometry")
    publisher.publish(odometry(10 * SECOND, at(0.0), frame="odom"))
    assert "odometry in frame 'odom', expected 'map'" in agent.dropped("pose_frame")


def test_a_sweep_that_waits_too_long_for_its_odometry_is_dropped_with_the_reason(ros, parameters):
    agent = Agent(ros, parameters, "odometry")
    publisher = agent.publisher(Odometry, "odometry")
    publisher.publish(odometry(10 * SECOND, at(0.0)))
    agent.cloud(10 * SECOND + SECOND // 10)
    assert "no pose for a sweep within 0.3 s" in agent.dropped("pose_not_yet")


@pytest.mark.parametrize("source", ["pose", "odometry"])
def test_a_bag_that_begins_again_starts_afresh_without_a_clock(ros, parameters, source):
    agent = Agent(ros, parameters, source)
    kind = {"pose": PoseWithCovarianceStamped, "odometry": Odometry}[source]
    publisher = agent.publisher(kind, source)
    for count, (second, x) in enumerate([(60, 1.0), (61, 2.0), (10, 3.0), (11, 4.0)], start=1):
        header = Header(stamp=time_message(second * SECOND), frame_id="map")
        publisher.publish(kind(header=header, pose=pose_of(at(x))))
        agent.cloud(second * SECOND)
        assert agent.sent(count)[0, 3] == pytest.approx(x)


def test_a_jump_back_of_the_clock_forgets_poses_and_the_sweep_that_waits(ros, parameters):
    agent = Agent(ros, parameters, "odometry", use_sim_time=True, pose_timeout=10.0)
    publisher = agent.publisher(Odometry, "odometry")
    clock = agent.publisher(Clock, "/clock")

    def set_clock(second):
        clock.publish(Clock(clock=time_message(second * SECOND)))
        ros.spin_until(lambda: agent.node.get_clock().now().nanoseconds == second * SECOND)

    set_clock(13)
    publisher.publish(odometry(12 * SECOND, at(1.0)))
    agent.cloud(13 * SECOND)
    ros.spin_for(0.3)
    set_clock(10)
    publisher.publish(odometry(10 * SECOND, at(3.0)))
    publisher.publish(odometry(13 * SECOND, at(9.0)))
    ros.spin_for(0.3)
    assert agent.indices == [], "the sweep of before the jump is forgotten"
    agent.cloud(10 * SECOND)
    assert agent.sent()[0, 3] == pytest.approx(3.0)


def test_a_clock_that_goes_back_by_less_than_a_sweeps_period_forgets_nothing(ros, parameters):
    agent = Agent(ros, parameters, "odometry", use_sim_time=True, pose_timeout=10.0)
    publisher = agent.publisher(Odometry, "odometry")
    clock = agent.publisher(Clock, "/clock")

    def set_clock(stamp_ns):
        clock.publish(Clock(clock=time_message(stamp_ns)))
        ros.spin_until(lambda: agent.node.get_clock().now().nanoseconds == stamp_ns)

    start = 13 * SECOND
    set_clock(start)
    publisher.publish(odometry(start - SECOND // 20, at(1.0)))
    agent.cloud(start)
    ros.spin_for(0.3)
    set_clock(start - SECOND // 200)
    set_clock(start - SECOND // 10)
    publisher.publish(odometry(start + SECOND // 20, at(3.0)))
    assert agent.sent()[0, 3] == pytest.approx(2.0), "between the poses of before and after it"


def test_a_mount_that_is_none_ends_the_start(ros, parameters):
    with pytest.raises(PoseError, match="extrinsics: got"):
        Agent(ros, parameters, "pose", sensor_mount=[1.0, 2.0])


@pytest.mark.skipif(tf2_ros is not None, reason="tf2_ros is installed")
def test_tf_without_tf2_ends_the_start_and_says_what_to_do(ros, parameters):
    with pytest.raises(ParameterError, match=r"pose_source.*tf2_ros.*choose pose or odometry"):
        Agent(ros, parameters, "tf")


class Tree:
    """Publishes transforms as a localization and a robot description do."""

    def __init__(self, agent):
        self.dynamic = agent.publisher(TFMessage, "/tf")
        self._static = tf2_ros.StaticTransformBroadcaster(agent.ros.node)

    def mount(self, matrix, child="lidar"):
        self._static.sendTransform(transform(0, matrix, "base_link", child))

    def move(self, stamp_ns, matrix):
        self.dynamic.publish(TFMessage(transforms=[transform(stamp_ns, matrix)]))


@needs_tf2
def test_tf_is_interpolated_through_the_tree_at_the_sweeps_stamp(ros, parameters):
    agent = Agent(ros, parameters, "tf", tf_position_sigma=0.2, tf_rotation_sigma=1.0)
    tree = Tree(agent)
    mount = extrinsics_matrix([1.2, 0.0, 1.8, 0.0, 0.0, 180.0])
    tree.mount(mount)
    tree.move(10 * SECOND, at(0.0, 80.0))
    agent.cloud(10 * SECOND + SECOND // 20)
    ros.spin_for(0.1)
    assert agent.indices == [], "it waits for the transform after it"
    tree.move(10 * SECOND + SECOND // 10, at(2.0, 100.0))
    np.testing.assert_allclose(agent.sent(), sent_pose(at(1.0, 90.0) @ mount), atol=1e-9)
    expected = np.diag([0.04] * 3 + [np.radians(1.0) ** 2] * 3)
    assert agent.indices[0].spread == sent_spread(expected)


@needs_tf2
def test_a_sweep_without_its_transform_is_dropped_with_tf2s_reason(ros, parameters):
    agent = Agent(ros, parameters, "tf", pose_timeout=0.1)
    agent.cloud(10 * SECOND)
    assert 'tf2: "map" passed to lookupTransform' in agent.dropped("no_pose")
    tree = Tree(agent)
    tree.mount(np.eye(4))
    tree.move(10 * SECOND, at(0.0))
    tree.move(11 * SECOND, at(1.0))
    ros.spin_for(0.3)
    agent.cloud(11 * SECOND, frame="roof")
    ros.spin_until(lambda: '"roof" passed to lookupTransform' in agent.dropped("no_pose"))
    agent.cloud(12 * SECOND)
    assert "extrapolation into the future" in agent.dropped("pose_not_yet")
    agent.cloud(9 * SECOND)
    assert "extrapolation into the past" in agent.dropped("pose_too_new")
    agent.cloud(11 * SECOND)
    agent.sent()


@needs_tf2
@pytest.mark.parametrize("sim_time", [True, False])
def test_tf_that_jumps_back_starts_afresh(ros, parameters, sim_time):
    agent = Agent(ros, parameters, "tf", use_sim_time=sim_time, pose_timeout=5.0)
    tree = Tree(agent)
    tree.mount(np.eye(4))
    clock = agent.publisher(Clock, "/clock") if sim_time else None
    for count, (second, x) in enumerate([(60, 1.0), (61, 2.0), (10, 3.0), (11, 4.0)], start=1):
        if clock is not None:
            clock.publish(Clock(clock=time_message(second * SECOND)))
            ros.spin_until(
                lambda now=second * SECOND: agent.node.get_clock().now().nanoseconds == now
            )
        agent.cloud(second * SECOND)
        ros.spin_for(0.2)
        tree.move(second * SECOND, at(x))
        assert agent.sent(count)[0, 3] == pytest.approx(x)
