# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes are started, with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantv2x_ros.data.bag_topics import BagTopics
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphError, GraphSettings

SOURCE = ReplaySource("/data/scene", ("1", "2", "-1"), is_bag=False)


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(tmp_path)


def graph(bundle, source=SOURCE, **values):
    return cooperative_graph(GraphSettings(bundle=bundle, **values), source)


def test_an_ego_an_encoder_for_each_peer_and_a_replay(bundle):
    nodes = graph(bundle)
    assert [(node.executable, node.namespace) for node in nodes] == [
        ("ego", "/"),
        ("encoder", "/agent_2"),
        ("encoder", "/agent_m1"),
        ("replay", "/"),
    ]
    assert [node.parameters.get("station_id") for node in nodes[:3]] == [1, 2, 1_000_000_001]
    assert [node.ends_graph for node in nodes] == [False, False, False, True]


def test_a_namespace_holds_ego_peers_and_replay(bundle):
    namespaces = [node.namespace for node in graph(bundle, namespace="car/")]
    assert namespaces == ["/car", "/car/agent_2", "/car/agent_m1", "/car"]


def test_the_replay_plays_the_chosen_agents_at_the_chosen_speed(bundle):
    replay = graph(bundle, rate=0.5, loop=True)[-1]
    assert replay.parameters["path"] == "/data/scene"
    assert replay.parameters["agents"] == "1,2,-1,"
    assert (replay.parameters["rate"], replay.parameters["loop"]) == (0.5, True)
    assert replay.parameters["use_sim_time"] is False, "it makes the time"


@pytest.mark.parametrize(
    ("use_sim_time", "replay", "expected"),
    [
        ("auto", "/data/scene", True),
        ("auto", "none", False),
        ("false", "/data/scene", False),
        ("true", "none", True),
    ],
)
def test_nodes_go_by_simulated_time_with_a_replay_unless_told_otherwise(
    bundle, use_sim_time, replay, expected
):
    source = None if replay == "none" else SOURCE
    nodes = graph(bundle, source, replay=replay, use_sim_time=use_sim_time)
    assert nodes[0].parameters["use_sim_time"] is expected


def test_peers_on_the_egos_computer_take_a_share_of_its_cores(bundle, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert threads_of(graph(bundle)) == [0, 4, 4], "0: the ego may use all"
    assert threads_of(graph(bundle, threads=7)) == [7, 7, 7]
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert threads_of(graph(bundle)) == [0, 1, 1]
    assert threads_of(graph(bundle, None, replay="none")) == [0]


def test_roadside_units_but_for_an_ego_lay_their_grids_along_the_roads(bundle):
    assert [node.parameters.get("turn_grid") for node in graph(bundle)[:3]] == [None, None, True]
    poles = ReplaySource("/data/scene", ("-1", "-2"), is_bag=False)
    assert [n.parameters.get("turn_grid") for n in graph(bundle, poles)[:2]] == [None, True]


def threads_of(nodes):
    return [node.parameters["threads"] for node in nodes if "threads" in node.parameters]


def test_with_real_sensors_there_is_the_ego_alone(bundle):
    nodes = graph(bundle, None, replay="none", station_id=77)
    assert [node.executable for node in nodes] == ["ego"]
    assert nodes[0].parameters["station_id"] == 77
    assert "crop_ego_body" not in nodes[0].parameters, "a real vehicle sees itself"


def test_rviz_gets_the_topics_of_this_graph(bundle):
    rviz = graph(bundle, rviz=True, namespace="car")[-1]
    assert rviz.package == "rviz2"
    assert rviz.remappings["/markers"] == "/car/markers"
    assert rviz.remappings["/peer_1/points"] == "/car/agent_2/points"
    assert rviz.remappings["/peer_2/points"] == "/car/agent_m1/points"
    assert Path(rviz.arguments[1]).is_file()


def test_rviz_shows_real_sensors_in_the_frame_of_their_clouds(bundle):
    rviz = graph(bundle, None, rviz=True, replay="none", fixed_frame="lidar_top")[-1]
    assert rviz.arguments[2:] == ("-f", "lidar_top")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"backend": "abacus"}, "backend: got 'abacus', allowed are auto, openvino, tensorrt"),
        ({"log_level": "loud"}, "log_level: got 'loud'"),
        ({"use_sim_time": "maybe"}, "use_sim_time"),
        ({"rate": 0.0}, "rate: got 0.0"),
        ({"rate": float("nan")}, "rate: got nan"),
        ({"station_id": 2**32}, "station_id"),
        ({"params_file": "/nowhere.yaml"}, "no file /nowhere.yaml"),
        ({"rviz": True, "replay": "none"}, "fixed_frame.*frame_id of the ego's clouds"),
    ],
)
def test_arguments_are_validated(values, text):
    with pytest.raises(GraphError, match=text):
        GraphSettings(**values)


def test_a_replay_needs_its_source(bundle):
    with pytest.raises(GraphError, match="do not fit"):
        graph(bundle, None)


def test_the_viewer_hears_the_peers_clouds_and_ends_nothing(bundle):
    viewer = graph(bundle, viewer=True, viewer_port=9000, namespace="car")[-1]
    assert (viewer.executable, viewer.namespace) == ("viewer", "/car")
    assert viewer.parameters["peer_points"] == "agent_2/points,agent_m1/points"
    assert viewer.parameters["port"] == 9000
    assert "host" not in viewer.parameters, "loopback unless a parameter file says otherwise"
    assert not viewer.ends_graph


def test_a_port_that_there_is_not_is_refused(bundle):
    with pytest.raises(GraphError, match="viewer_port: got 70000"):
        graph(bundle, viewer=True, viewer_port=70000)


def test_nodes_that_are_to_wait_for_a_manager_are_told_so(bundle):
    waiting = graph(bundle, autostart=False, viewer=True)
    assert {node.parameters["autostart"] for node in waiting} == {False}
    assert all("autostart" not in node.parameters for node in graph(bundle, viewer=True))


def test_the_names_of_topics_go_to_the_replay_of_a_bag_or_to_the_ego(bundle):
    topics = BagTopics("/velodyne_points", "/ndt_pose")
    source = ReplaySource("/data/bag", ("/",), is_bag=True, topics=topics)
    ego, replay = graph(bundle, source, topics=topics, map_frame="world")
    names = ("points_topic", "pose_topic", "pose_source", "map_frame")
    assert [replay.parameters[name] for name in names] == [
        "/velodyne_points", "/ndt_pose", "pose", "world"
    ]  # fmt: skip
    assert (ego.remappings, ego.parameters["map_frame"]) == ({}, "world")
    assert ego.parameters["crop_ego_body"] is True, "nobody has cut it out of such a bag"
    (ego,) = graph(bundle, None, replay="none", topics=topics)
    assert ego.remappings == {"points": "/velodyne_points", "pose": "/ndt_pose"}
    assert "pose_source" not in ego.parameters
    (ego,) = graph(bundle, None, replay="none", topics=BagTopics(pose_source="tf"))
    assert (ego.remappings, ego.parameters["pose_source"]) == ({}, "tf")
    (ego,) = graph(bundle, None, replay="none", topics=BagTopics("", "/odom", "odometry"))
    assert ego.remappings == {"odometry": "/odom"}


def test_viewer_and_rviz_show_real_sensors_under_their_names(bundle):
    topics = BagTopics("/velodyne_points", "/ndt_pose")
    about = {"replay": "none", "viewer": True, "rviz": True, "fixed_frame": "velodyne"}
    _, viewer, rviz = graph(bundle, None, topics=topics, **about)
    assert viewer.remappings == {"points": "/velodyne_points", "pose": "/ndt_pose"}
    assert rviz.remappings["/points"] == "/velodyne_points"
    _, _, rviz = graph(bundle, None, topics=BagTopics("lidar"), namespace="car", **about)
    assert rviz.remappings["/points"] == "/car/lidar"
