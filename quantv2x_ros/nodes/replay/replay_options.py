# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the replay node: what is played, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from quantv2x_ros.data.bag_topics import POSE_SOURCES, BagTopics
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import PACES
from quantv2x_ros.nodes.common.parameters import declare
from quantv2x_ros.nodes.replay.bag_playlist import BagPlaylist, IndicesPlaylist
from quantv2x_ros.nodes.replay.playlist import Playlist, ScenarioPlaylist


@dataclass(frozen=True)
class Recording:
    """A recording, and what of it is played.

    Attributes:
        path: path of a scenario or rosbag2; empty for a simulated scene.
        agents: names of the agents that are played, the ego first.
        map_frame: name of the frame of a scenario's poses.
        truth: whether a scenario's labels are published.
        indices: whether a bag's indices are played instead of its clouds.
        heard: whether a bag's indices of other stations are played, too.
        topics: names of the topics of a bag's agents.
    """

    path: str
    agents: str
    map_frame: str
    truth: bool
    indices: bool
    heard: bool
    topics: BagTopics

    def find(self, announce: Callable[[str], None]) -> ReplaySource:
        """Find the recording, or make the simulated scene.

        Args:
            announce: called with a sentence before something that takes a while.

        Raises:
            ValueError: where there is none, or not of these agents.
        """
        return ReplaySource.find(self.path, self.agents, announce, self.indices, self.topics)

    def open(self, source: ReplaySource, warn: Callable[[str], object]) -> Playlist:
        """Return the playlist of the recording.

        Args:
            source: result of `find`.
            warn: called with a sentence about what is not played as recorded.

        Raises:
            ValueError: for one that cannot be played so.
        """
        if source.indices_only:
            stations = [source.station(agent) for agent in source.agents]
            return IndicesPlaylist(Path(source.path), stations, warn)
        if source.is_bag:
            played = [source.station(agent) for agent in source.agents]
            unheard = played if self.heard else None
            return BagPlaylist(
                Path(source.path), source.agents, unheard, warn, self.topics, self.map_frame
            )
        if self.heard:
            raise ValueError(
                f"heard: {source.path} is no rosbag2, so nothing was heard; make one with "
                "`python -m quantv2x_ros record --indices`"
            )
        scenario = Scenario.open(source.path, skip_broken=True)
        return ScenarioPlaylist(scenario, source.agents, self.map_frame, self.truth, warn)


@dataclass(frozen=True)
class Playing:
    """The pace of a replay, and what it waits for.

    Attributes:
        rate: speed against real time.
        loop: whether to begin again at the end.
        exit_at_end: whether the process ends with the last message.
        wait: longest wait for listeners, seconds; 0 to play at once, -1 to wait for as long as it
            takes.
        settle: time after that for the nodes to find each other, seconds.
        read_ahead: memory of messages that are read before their time, bytes.
        wait_for: name of the node that is waited for; empty for the one that the recording is for.
        pace: one of `PACES`.
        result_timeout: longest wait for the boxes of a sweep that set the pace, seconds.
        max_gap: longest time without a message that is waited for, seconds; 0 for any.
    """

    rate: float
    loop: bool
    exit_at_end: bool
    wait: float
    settle: float
    read_ahead: int
    wait_for: str
    max_gap: float
    pace: str
    result_timeout: float


def declare_recording(node: Node) -> Recording:
    """Declare the parameters of what is played, and return their values."""
    return Recording(
        path=declare(
            node,
            "path",
            "",
            "V2X-Real, OPV2V or V2V4Real scenario, or a rosbag2 (folder, .mcap or .db3); empty: "
            "a simulated scene, which is made and kept in the user's cache folder.",
        ),
        agents=declare(
            node,
            "agents",
            "all",
            "Agents to play, the ego first: all, a number, or names with commas between.",
        ),
        map_frame=declare(
            node,
            "map_frame",
            "map",
            "Name of the map frame: of a dataset's poses, and of those from a bag's TF.",
        ),
        truth=declare(node, "truth", True, "Publish the labels as dashed boxes (ground_truth)."),
        indices=declare(
            node,
            "indices",
            False,
            "Play a bag's indices instead of its clouds; one without clouds is always played so.",
        ),
        heard=declare(
            node,
            "heard",
            False,
            "Play, beside the clouds of a bag's agents, the indices that it holds of others: what "
            "the ego heard.",
        ),
        topics=_declare_topics(node),
    )


def _declare_topics(node: Node) -> BagTopics:
    """Declare the parameters that name the topics of a bag, and return them."""
    points = declare(
        node,
        "points_topic",
        "",
        "Topic of the clouds in a bag, within each agent's namespace; with a slash before it, one "
        "topic, such as /velodyne_points. Empty: points.",
    )
    pose = declare(
        node,
        "pose_topic",
        "",
        "Topic of the poses in a bag, likewise: PoseWithCovarianceStamped, PoseStamped or "
        "Odometry. Empty: pose, or odometry where that is the source.",
    )
    source = declare(
        node,
        "pose_source",
        "pose",
        "Where the poses of a bag come from: the topic pose, the topic odometry, or tf, from the "
        "clouds' frames to map_frame by its /tf and /tf_static.",
        choices=POSE_SOURCES,
    )
    return BagTopics(points, pose, source)


def declare_playing(node: Node) -> Playing:
    """Declare the parameters of how it is played, and return their values."""
    rate = declare(node, "rate", 1.0, "Speed against real time.", low=0.01, high=100.0)
    loop = declare(node, "loop", False, "Start again at the end; stamps go on growing.")
    exit_at_end = declare(node, "exit_at_end", True, "End the process after the last message.")
    wait = declare(
        node,
        "wait",
        -1.0,
        "Longest wait for a listener to every cloud before playing starts [s]; -1: as long as it "
        "takes; 0: play at once, whoever listens.",
        low=-1.0,
        high=3600.0,
    )
    settle = declare(
        node,
        "settle",
        2.5,
        "Then the time for the nodes to find each other, which DDS takes up to [s].",
        low=0.0,
        high=60.0,
    )
    megabytes = declare(
        node,
        "read_ahead",
        256,
        "Memory for messages that are read before their time, also while playing waits to be "
        "heard [MB].",
        low=1,
        high=65_536,
    )
    wait_for = declare(
        node,
        "wait_for",
        "",
        "Name of the node that playing waits for on each topic; any: whoever listens, also a "
        "recorder; empty: encoder, or fusion where indices are played.",
    )
    max_gap = declare(
        node,
        "max_gap",
        10.0,
        "Longest time without a message that is waited for [s]; the clock jumps over longer ones, "
        "and the log says so. 0: wait for any.",
        low=0.0,
        high=1e9,
    )
    pace = declare(
        node,
        "pace",
        PACES[0],
        "real_time: at `rate`, whatever the nodes can keep up with; results: the next sweep leaves "
        "once the boxes of the last one are out, at `rate` at most.",
        choices=PACES,
    )
    result_timeout = declare(
        node,
        "result_timeout",
        30.0,
        "With pace results: longest wait for a sweep's boxes before playing goes on [s].",
        low=0.1,
        high=3600.0,
    )
    return Playing(
        rate,
        loop,
        exit_at_end,
        wait,
        settle,
        megabytes * 1_000_000,
        wait_for,
        max_gap,
        pace,
        result_timeout,
    )
