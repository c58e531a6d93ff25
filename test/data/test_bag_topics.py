# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Agents of bags whose topics have names of their own."""

from __future__ import annotations

import pytest

from quantv2x_ros.data.bag_topics import (
    ODOMETRY_TYPE,
    ROOT_AGENT,
    STAMPED_TYPE,
    AgentTopics,
    BagTopics,
    BagTopicsError,
)
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.errors import BagError
from quantv2x_ros.data.recorded_messages import POINTS_TYPE, POSE_TYPE, TRANSFORM_TYPE
from quantv2x_ros.graph.replay_source import ReplaySource, ReplaySourceError


@pytest.fixture
def bag(tmp_path):
    """Writes a bag of topics with a message each."""

    def write(**kinds):
        with BagWriter(tmp_path / "bag") as writer:
            for name, kind in kinds.items():
                writer.add_topic(name, kind)
                writer.write(name, 1, b"\0\1\0\0")
        return tmp_path / "bag"

    return write


def test_by_default_a_namespace_with_points_and_pose_is_an_agent(bag):
    path = bag(**{
        "/a/points": POINTS_TYPE, "/a/pose": POSE_TYPE, "/points": POINTS_TYPE, "/pose": POSE_TYPE,
        "/b/points": POINTS_TYPE, "/b/pose": TRANSFORM_TYPE,
    })  # fmt: skip
    assert BagTopics().agents(path) == {
        ROOT_AGENT: AgentTopics("/points", "/pose", POSE_TYPE),
        "a": AgentTopics("/a/points", "/a/pose", POSE_TYPE),
    }


@pytest.mark.parametrize("kind", [POSE_TYPE, STAMPED_TYPE, ODOMETRY_TYPE])
def test_topics_may_have_any_name_and_poses_any_of_three_types(bag, kind):
    path = bag(**{"/velodyne_points": POINTS_TYPE, "/localization/kinematic_state": kind})
    found = BagTopics("/velodyne_points", "/localization/kinematic_state").agents(path)
    expected = AgentTopics("/velodyne_points", "/localization/kinematic_state", kind)
    assert found == {ROOT_AGENT: expected}


def test_names_without_a_slash_lie_in_each_agents_namespace(bag):
    names = ("car_1", "car_2")
    path = bag(**{f"/{car}/top/lidar": POINTS_TYPE for car in names},
               **{f"/{car}/odometry": ODOMETRY_TYPE for car in names})  # fmt: skip
    found = BagTopics("top/lidar", pose_source="odometry").agents(path)
    assert found == {
        car: AgentTopics(f"/{car}/top/lidar", f"/{car}/odometry", ODOMETRY_TYPE) for car in names
    }
    with pytest.raises(BagError, match=r"odometry is one topic for the 2 agents car_1, car_2"):
        BagTopics("top/lidar", "/car_1/odometry").agents(path)


def test_poses_may_come_from_tf_alone(bag):
    path = bag(**{"/points": POINTS_TYPE, "/tf": TRANSFORM_TYPE})
    assert BagTopics(pose_source="tf").agents(path) == {ROOT_AGENT: AgentTopics("/points")}


@pytest.mark.parametrize(
    ("kinds", "remedy"),
    [
        (
            {"/velodyne_points": POINTS_TYPE, "/ndt_pose": STAMPED_TYPE},
            "Name them: points_topic:=/velodyne_points pose_topic:=/ndt_pose",
        ),
        (
            {"/velodyne_points": POINTS_TYPE, "/tf": TRANSFORM_TYPE},
            "Name them: points_topic:=/velodyne_points pose_source:=tf",
        ),
        ({"/points": POINTS_TYPE, "/tf": TRANSFORM_TYPE}, "Name them: pose_source:=tf"),
        (
            {"/a": POINTS_TYPE, "/b": POINTS_TYPE, "/odom": ODOMETRY_TYPE},
            r"Name them: points_topic:=/a \(or /b\) pose_topic:=/odom",
        ),
        ({"/points": POINTS_TYPE}, "Record poses beside the clouds: .*PoseStamped"),
        ({"/pose": POSE_TYPE}, "Record clouds"),
    ],
)
def test_what_a_bag_lacks_is_said_with_its_topics_and_the_options_that_name_them(
    bag, kinds, remedy
):
    path = bag(**kinds)
    with pytest.raises(BagError, match=remedy) as caught:
        BagTopics().agents(path)
    for name, kind in kinds.items():
        assert f"{name} ({kind})" in str(caught.value)


def test_names_that_contradict_each_other_are_refused():
    with pytest.raises(BagTopicsError, match="pose_source: got 'gps', allowed are pose, odometry"):
        BagTopics(pose_source="gps")
    with pytest.raises(BagTopicsError, match="pose_topic: got '/pose' while pose_source is tf"):
        BagTopics(pose="/pose", pose_source="tf")


def test_a_replay_of_such_a_bag_has_its_agent_as_the_ego(bag, small_scenario):
    path = bag(**{"/velodyne_points": POINTS_TYPE, "/ndt_pose": STAMPED_TYPE})
    topics = BagTopics("/velodyne_points", "/ndt_pose")
    for agents in ("all", "1", "/,"):
        source = ReplaySource.find(str(path), agents, topics=topics)
        assert source.agents == (ROOT_AGENT,)
        assert source.namespace(ROOT_AGENT) == ""
        assert 0 <= source.station(ROOT_AGENT) < 2**32
    with pytest.raises(ReplaySourceError, match=r"2 wanted, .* has 1: /; all plays all"):
        ReplaySource.find(str(path), "2", topics=topics)
    with pytest.raises(ReplaySourceError, match="is a dataset, which has no topics"):
        ReplaySource.find(str(small_scenario()), topics=topics)
