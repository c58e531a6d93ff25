# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The playlist of a replay: messages in order of time, from a dataset folder or a rosbag2."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from rclpy.logging import get_logger
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from quantv2x_ros.data.agent_names import agent_namespace
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.recording import START_STAMP, frame_stamp, lidar_frame
from quantv2x_ros.data.scenario import FRAME_PERIOD, Scenario
from quantv2x_ros.data.v2x_real import CLASSES
from quantv2x_ros.graph.replay_source import topic_of
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.fusion.markers import truth_markers

_WARN = get_logger("replay").warning


@dataclass(frozen=True)
class Track:
    """A topic that is played.

    Attributes:
        topic: name of the topic, relative to replay's namespace.
        message_type: class of its messages.
        is_awaited: whether playing waits for a subscriber to it.
        is_cloud: whether its messages are sweeps.
        is_latched: whether late subscribers get its last message.
    """

    topic: str
    message_type: Any
    is_awaited: bool = False
    is_cloud: bool = False
    is_latched: bool = False


@dataclass(frozen=True, eq=False)
class Event:
    """A message to publish.

    Attributes:
        time_ns: played time, nanoseconds.
        topic: topic of its track.
        message: a ROS message, a serialized one, or a function that makes it, where that takes
            long and may not be needed.
        is_ego_sweep: whether it is a sweep of the ego, or the indices of one.
    """

    time_ns: int
    topic: str
    message: Any
    is_ego_sweep: bool = False

    @property
    def size(self) -> int:
        """Return the memory of the message, bytes; small kinds count as a kilobyte."""
        content = getattr(self.message, "data", self.message)
        return max(1024, len(content) if isinstance(content, (bytes, array)) else 0)


class Playlist(Protocol):
    """A recording that can be played again and again.

    Attributes:
        tracks: topics of the recording.
        start_ns: played time of its beginning, nanoseconds.
        period_ns: from its beginning to the beginning of its repetition, nanoseconds.
        name: name for log lines.
    """

    tracks: Sequence[Track]
    start_ns: int
    period_ns: int
    name: str

    def events(self, offset_ns: int) -> Iterator[Event]:
        """Yield all messages in order of time, later by ``offset_ns``, stamps included."""


class ScenarioPlaylist:
    """A V2X-Real or OPV2V folder; see `Playlist`.

    The ego's topics are ``points``, ``pose`` and ``ground_truth``, a peer's lie in its namespace,
    such as ``agent_2/points``. A sweep follows its pose, so that it need not wait for it.
    """

    def __init__(
        self,
        scenario: Scenario,
        agents: Sequence[str],
        map_frame: str,
        truth: bool = True,
        warn: Callable[[str], object] = _WARN,
    ) -> None:
        """Read the beginning of the scenario.

        Args:
            scenario: scenario to play.
            agents: names of the agents that are played, the ego first.
            map_frame: name of the frame of the poses.
            truth: whether the ground truth is published as markers.
            warn: called once with a sentence about each damaged file; its agent has no sweep then.

        Raises:
            ValueError: for an agent that the scenario does not have.
        """
        unknown = [agent for agent in agents if agent not in scenario.agents]
        if unknown or not agents:
            raise ValueError(
                f"agents: got {', '.join(agents) or 'none'}, {scenario.folder} has "
                f"{', '.join(scenario.agents)}"
            )
        self._scenario = scenario
        self._namespaces = {agent: agent_namespace(agent) for agent in agents}
        self._namespaces[agents[0]] = ""
        self._agents = list(agents)
        self._map_frame = map_frame
        self._truth = truth
        self._warn = warn
        self._named: set[Path] = set()
        for error in scenario.broken:
            self._name(error)
        self.name = str(scenario.folder)
        self.start_ns = START_STAMP
        self.period_ns = round(FRAME_PERIOD * 1e9) * len(scenario.timestamps)
        self.tracks: Sequence[Track] = [
            *(
                Track(topic_of(ns, "points"), PointCloud2, True, True)
                for ns in self._namespaces.values()
            ),
            *(
                Track(topic_of(ns, "pose"), PoseWithCovarianceStamped)
                for ns in self._namespaces.values()
            ),
            *([Track("ground_truth", MarkerArray)] if truth else []),
        ]

    def events(self, offset_ns: int) -> Iterator[Event]:
        """Yield poses, sweeps and truth of every frame.

        Raises:
            DatasetError: at the end, where no sweep of the ego could be read.
        """
        failures: list[DatasetError] = []
        is_ego_seen = False
        for number, timestamp in enumerate(self._scenario.timestamps):
            stamp_ns = frame_stamp(number) + offset_ns
            frame, broken = self._scenario.whole_frame(timestamp)
            for error in broken:
                self._name(error)
            failures += broken[: not failures]
            is_ego_seen |= self._agents[0] in frame.agents
            yield from self._frame(frame, stamp_ns)
        if failures and not is_ego_seen:
            raise failures[0]

    def _name(self, error: DatasetError) -> None:
        if error.path not in self._named:
            self._named.add(error.path)
            self._warn(f"left out: {error}")

    def _frame(self, frame: Frame, stamp_ns: int) -> Iterator[Event]:
        stamp = time_message(stamp_ns)
        present = [agent for agent in self._agents if agent in frame.agents]
        for agent in present:
            pose = PoseWithCovarianceStamped(header=Header(stamp=stamp, frame_id=self._map_frame))
            pose.pose = PoseWithCovariance(
                pose=pose_to_message(frame.agents[agent].pose), covariance=np.zeros(36)
            )
            yield Event(stamp_ns, topic_of(self._namespaces[agent], "pose"), pose)
        for agent in present:
            header = Header(stamp=stamp, frame_id=lidar_frame(agent))
            cloud = message_from_points(frame.agents[agent].points, header)
            topic = topic_of(self._namespaces[agent], "points")
            yield Event(stamp_ns, topic, cloud, agent == self._agents[0])
        ego = self._agents[0]
        if self._truth and ego in frame.agents:
            boxes, labels, _ = frame.truth(ego, present)  # now: an event is not to keep the clouds
            header = Header(stamp=stamp, frame_id=lidar_frame(ego))
            names = [CLASSES[int(label) - 1] for label in labels]
            yield Event(stamp_ns, "ground_truth", partial(truth_markers, header, boxes, names))
