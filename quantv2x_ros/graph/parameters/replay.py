# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the replay node: what is played, and how."""

from __future__ import annotations

from dataclasses import dataclass

from quantv2x_ros.data.bag_topics import DEFAULT_TOPICS, POSE_SOURCES, BagTopics
from quantv2x_ros.data.recorded_messages import MAP_FRAME
from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.parameter import parameter

#: What a replay's time goes by.
PACES = ("real_time", "results")


@dataclass(frozen=True)
class ReplayParameters(NodeParameters):
    """Parameters of the replay node."""

    path: str = parameter(
        "",
        "V2X-Real, OPV2V or V2V4Real scenario, or a rosbag2 (folder, .mcap or .db3); empty: "
        "a simulated scene, which is made and kept in the user's cache folder.",
        by_launch=True,
    )
    agents: str = parameter(
        "all",
        "Agents to play, the ego first: all, a number, or names with commas between.",
        by_launch=True,
    )
    map_frame: str = parameter(
        MAP_FRAME, "Name of the map frame: of a dataset's poses, and of those from a bag's TF."
    )
    truth: bool = parameter(True, "Publish the labels as dashed boxes (ground_truth).")
    indices: bool = parameter(
        False,
        "Play a bag's indices instead of its clouds; one without clouds is always played so.",
        by_launch=True,
    )
    heard: bool = parameter(
        False,
        "Play, beside the clouds of a bag's agents, the indices that it holds of others: what "
        "the ego heard.",
    )
    points_topic: str = parameter(
        DEFAULT_TOPICS.points,
        "Topic of the clouds in a bag, within each agent's namespace; with a slash before it, one "
        "topic, such as /velodyne_points. Empty: points.",
        by_launch=True,
    )
    pose_topic: str = parameter(
        DEFAULT_TOPICS.pose,
        "Topic of the poses in a bag, likewise: PoseWithCovarianceStamped, PoseStamped or "
        "Odometry. Empty: pose, or odometry where that is the source.",
        by_launch=True,
    )
    pose_source: str = parameter(
        DEFAULT_TOPICS.pose_source,
        "Where the poses of a bag come from: the topic pose, the topic odometry, or tf, from the "
        "clouds' frames to map_frame by its /tf and /tf_static.",
        choices=POSE_SOURCES,
        by_launch=True,
    )
    rate: float = parameter(1.0, "Speed against real time.", low=0.01, high=100.0, by_launch=True)
    loop: bool = parameter(False, "Start again at the end; stamps go on growing.", by_launch=True)
    exit_at_end: bool = parameter(True, "End the process after the last message.")
    wait: float = parameter(
        -1.0,
        "Longest wait for a listener to every cloud before playing starts [s]; -1: as long as it "
        "takes; 0: play at once, whoever listens.",
        low=-1.0,
        high=3600.0,
    )
    settle: float = parameter(
        2.5,
        "Then the time for the nodes to find each other, which DDS takes up to [s].",
        low=0.0,
        high=60.0,
    )
    read_ahead: int = parameter(
        256,
        "Memory for messages that are read before their time, also while playing waits to be "
        "heard [MB].",
        low=1,
        high=65_536,
    )
    wait_for: str = parameter(
        "",
        "Name of the node that playing waits for on each topic; any: whoever listens, also a "
        "recorder; empty: encoder, or fusion where indices are played.",
    )
    max_gap: float = parameter(
        10.0,
        "Longest time without a message that is waited for [s]; the clock jumps over longer ones, "
        "and the log says so. 0: wait for any.",
        low=0.0,
        high=1e9,
    )
    pace: str = parameter(
        PACES[0],
        "real_time: at `rate`, whatever the nodes can keep up with; results: the next sweep leaves "
        "once the boxes of the last one are out, at `rate` at most.",
        choices=PACES,
        by_launch=True,
    )
    result_timeout: float = parameter(
        30.0,
        "With pace results: longest wait for a sweep's boxes before playing goes on [s].",
        low=0.1,
        high=3600.0,
    )

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a value out of range, or topics that contradict each other.
        """
        super().__post_init__()
        _ = self.topics

    @property
    def topics(self) -> BagTopics:
        """Return the names of the topics of a bag's agents."""
        return BagTopics(self.points_topic, self.pose_topic, self.pose_source)
