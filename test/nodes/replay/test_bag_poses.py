# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags as vehicles record them: poses of several types, or transforms alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from quantv2x_ros.core.geometry.pose import matrix_from_quaternion, matrix_from_v2x
from quantv2x_ros.data.bag_topics import ODOMETRY_TYPE, STAMPED_TYPE, BagTopics
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.message_types import message_types, serialize
from quantv2x_ros.data.recorded_messages import (
    POINTS_TYPE,
    POSE_TYPE,
    TRANSFORM_TYPE,
    header,
    serialize_cloud,
)
from quantv2x_ros.nodes.common.conversions import nanoseconds, pose_to_message, time_message
from quantv2x_ros.nodes.replay.bag_playlist import BagPlaylist
from quantv2x_ros.nodes.replay.bag_poses import NoTransformError

START = 1_700_000_000_000_000_000
MS = 1_000_000
MOUNT = matrix_from_v2x([1.0, 0.0, 1.9, 0.0, 3.0, 0.0])
FRAMES = 6


def vehicle(stamp):
    """The vehicle's pose: straight on, 10 m/s."""
    return matrix_from_v2x([(stamp - START) / 1e8, 5.0, 0.0, 0.0, 30.0, 0.0])


def transform(parent, child, stamp, matrix):
    types = message_types().types
    pose = pose_to_message(matrix)
    place = types["geometry_msgs/msg/Vector3"](pose.position.x, pose.position.y, pose.position.z)
    turn = (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w)
    item = types["geometry_msgs/msg/TransformStamped"](
        header(parent, stamp),
        child,
        types["geometry_msgs/msg/Transform"](place, types["geometry_msgs/msg/Quaternion"](*turn)),
    )
    return serialize(TRANSFORM_TYPE, types[TRANSFORM_TYPE]([item]))


def pose_data(kind, stamp):
    about = Header(stamp=time_message(stamp), frame_id="map")
    if kind == STAMPED_TYPE:
        message = PoseStamped(header=about, pose=pose_to_message(vehicle(stamp)))
    elif kind == ODOMETRY_TYPE:
        message = Odometry(header=about, child_frame_id="base_link")
        message.pose.pose = pose_to_message(vehicle(stamp))
        message.pose.covariance = np.arange(36.0)
    else:
        message = PoseWithCovarianceStamped(header=about)
        message.pose.pose = pose_to_message(vehicle(stamp))
    return bytes(serialize_message(message))


def write(path, kind="", root="map", late_static=False, delay=0):
    """Ten clouds a second; poses of a type, or transforms every 40 ms that come later."""
    messages = []
    for number in range(FRAMES):
        stamp = START + 100 * MS * number
        cloud = serialize_cloud(np.full((3, 4), number, np.float32), "velodyne", stamp)
        messages.append((stamp + 20 * MS, "/velodyne_points", cloud))
        if kind:
            messages.append((stamp + 5 * MS, "/where", pose_data(kind, stamp)))
    if not kind:
        for stamp in range(START - 40 * MS, START + (100 * FRAMES) * MS, 40 * MS):
            data = transform(root, "base_link", stamp, vehicle(stamp))
            messages.append((stamp + delay + 60 * MS, "/tf", data))
        static = START + 400 * MS if late_static else START - 1000 * MS
        messages.append((static, "/tf_static", transform("base_link", "velodyne", 0, MOUNT)))
    with BagWriter(path) as bag:
        for topic, name in (
            ("/velodyne_points", POINTS_TYPE),
            ("/where", kind),
            ("/tf", TRANSFORM_TYPE),
            ("/tf_static", TRANSFORM_TYPE),
        ):
            if name:
                bag.add_topic(topic, name, transient_local=topic == "/tf_static")
        for stamp, topic, data in sorted(messages, key=lambda item: item[0]):
            bag.write(topic, stamp, data)
    return path


def play(path, topics, warn=pytest.fail, offset=0, map_frame="map"):
    """Return what is played as (topic, stamp, matrix)."""
    playlist = BagPlaylist(path, ["/"], None, warn, topics, map_frame)
    assert {track.topic for track in playlist.tracks} == {"points", "pose"}
    events = list(playlist.events(offset))
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    played = []
    for event in events:
        matrix = None
        stamp = None
        if event.topic == "pose":
            message = deserialize_message(event.message, PoseWithCovarianceStamped)
            assert message.header.frame_id == map_frame
            place, turn = message.pose.pose.position, message.pose.pose.orientation
            matrix = matrix_from_quaternion(
                (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
            )
            stamp = nanoseconds(message.header.stamp)
        played.append((event.topic, stamp, matrix))
    return played


@pytest.mark.parametrize("kind", [POSE_TYPE, STAMPED_TYPE, ODOMETRY_TYPE])
def test_poses_of_any_type_are_played_as_poses_with_covariance(tmp_path, kind):
    path = write(tmp_path / "bag", kind)
    played = play(path, BagTopics("/velodyne_points", "/where"))
    assert [topic for topic, _, _ in played] == ["pose", "points"] * FRAMES
    for _, stamp, matrix in played[::2]:
        np.testing.assert_allclose(matrix, vehicle(stamp), atol=1e-9)


def test_the_covariance_of_odometry_is_kept(tmp_path):
    path = write(tmp_path / "bag", ODOMETRY_TYPE)
    playlist = BagPlaylist(path, ["/"], topics=BagTopics("/velodyne_points", "/where"))
    first = next(iter(playlist.events(0)))
    message = deserialize_message(first.message, PoseWithCovarianceStamped)
    np.testing.assert_array_equal(message.pose.covariance, np.arange(36.0))


TF = BagTopics("/velodyne_points", pose_source="tf")


@pytest.mark.parametrize("late_static", [False, True])
@pytest.mark.parametrize("offset", [0, 5_000_000_000])
def test_with_transforms_alone_each_sweep_has_its_pose_before_it(tmp_path, late_static, offset):
    path = write(tmp_path / "bag", late_static=late_static)
    played = play(path, TF, offset=offset)
    assert [topic for topic, _, _ in played] == ["pose", "points"] * FRAMES
    for number, (_, stamp, matrix) in enumerate(played[::2]):
        assert stamp == START + 100 * MS * number + offset
        np.testing.assert_allclose(matrix, vehicle(stamp - offset) @ MOUNT, atol=1e-6)


def test_the_root_of_the_tree_can_be_another_frame(tmp_path):
    path = write(tmp_path / "bag", root="odom")
    played = [topic for topic, _, _ in play(path, TF, map_frame="odom")]
    assert played == ["pose", "points"] * FRAMES


def test_a_tree_that_does_not_lead_to_the_map_is_named_and_ends_the_replay(tmp_path):
    path = write(tmp_path / "bag", root="odom")
    warnings = []
    with pytest.raises(NoTransformError, match=r"'velodyne' hangs below 'odom'.*map_frame to odom"):
        play(path, TF, warnings.append)
    (warning,) = warnings
    assert "no transform leads from 'velodyne' to 'map'" in warning


def test_sweeps_without_a_transform_of_their_time_are_played_without_pose_and_said(tmp_path):
    path = write(tmp_path / "bag", delay=0)
    with BagWriter(tmp_path / "early") as target:
        from quantv2x_ros.data.bag import BagReader

        with BagReader(path) as source:
            for topic in source.topics.values():
                target.add_topic(topic.name, topic.msgtype)
            for message in source.messages():
                if message.topic == "/tf" and message.stamp < START + 200 * MS:
                    continue
                target.write(message.topic, message.stamp, message.data)
    warnings = []
    played = [topic for topic, _, _ in play(tmp_path / "early", TF, warnings.append)]
    assert played == ["points"] * 2 + ["pose", "points"] * (FRAMES - 2)
    assert len(warnings) == 1
    assert "such sweeps are played without pose" in warnings[0]
