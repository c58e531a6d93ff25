# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""RViz shows what the running graph publishes: its topics, types and policies, by the file."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import ProcessGraph
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings

#: Displays of rviz_default_plugins, and the messages that they subscribe to.
MESSAGES = {
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
}
WITHOUT_TOPIC = {"rviz_default_plugins/Grid", "rviz_default_plugins/TF"}


@pytest.fixture
def configuration(repository):
    """The committed configuration."""
    text = (repository / "rviz" / "cooperative.rviz").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@pytest.fixture
def displays(configuration):
    """The displays of the committed configuration that have a topic."""
    listed = configuration["Visualization Manager"]["Displays"]
    assert {item["Class"] for item in listed} == {*MESSAGES, *WITHOUT_TOPIC}
    return [item for item in listed if item["Class"] in MESSAGES]


def profile(topic):
    """A topic's quality of service, as RViz reads it from its file."""
    name = {"Volatile": "VOLATILE", "Keep Last": "KEEP_LAST", "Best Effort": "BEST_EFFORT"}
    return QoSProfile(
        depth=topic["Depth"],
        history=HistoryPolicy[name[topic["History Policy"]]],
        durability=DurabilityPolicy[name[topic["Durability Policy"]]],
        reliability=ReliabilityPolicy[
            name.get(topic["Reliability Policy"], topic["Reliability Policy"].upper())
        ],
    )


def test_every_panel_has_its_place_so_that_none_covers_the_scene(configuration):
    window = configuration["Window Geometry"]
    places = bytes.fromhex(window["QMainWindow State"])  # QMainWindow::saveState
    for panel in configuration["Panels"]:
        assert panel["Name"].encode("utf-16-be") in places
        assert "collapsed" in window[panel["Name"]]


def test_every_display_gets_its_topic_from_the_running_graph(
    ros, displays, bundle_folder, scenario_folder, tmp_path
):
    settings = GraphSettings(
        bundle=str(bundle_folder),
        replay=str(scenario_folder),
        agents="1,2,-1",
        namespace="car",
        rate=0.1,
        loop=True,
        threads=1,
        rviz=True,
    )
    *nodes, rviz = cooperative_graph(settings, ReplaySource.find(settings.replay, settings.agents))
    assert rviz.package == "rviz2"
    unused = {f"/peer_{number}/points" for number in (3, 4)}  # there are two peers
    topics = {
        rviz.remappings.get(item["Topic"]["Value"], item["Topic"]["Value"]): item
        for item in displays
        if item["Topic"]["Value"] not in unused
    }
    assert len(topics) == len(displays) - len(unused)
    with ProcessGraph(nodes, log_file=tmp_path / "log"):
        publishers = ros.node.get_publishers_info_by_topic
        ros.spin_until(lambda: all(publishers(topic) for topic in topics), timeout=300.0)
        for topic, item in topics.items():
            for publisher in publishers(topic):
                assert publisher.topic_type == MESSAGES[item["Class"]]
                verdict, reason = qos_check_compatible(
                    publisher.qos_profile, profile(item["Topic"])
                )
                assert verdict != QoSCompatibility.ERROR, f"{topic}: {reason}"
