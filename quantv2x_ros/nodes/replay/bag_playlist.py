# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The playlist of a rosbag2: sweeps and poses, or indices alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.logging import get_logger
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.transport.packet import station_of
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_topics import DEFAULT_TOPICS, TRANSFORM_TOPICS, BagTopics
from quantv2x_ros.data.recorded_messages import MAP_FRAME, MARKERS_TYPE
from quantv2x_ros.data.recording import TRUTH_TOPIC
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.graph.replay_source import (
    CODEBOOK_TOPIC,
    INDICES_TOPIC,
    ReplaySource,
    topic_of,
)
from quantv2x_ros.nodes.replay.bag_events import BagEvents
from quantv2x_ros.nodes.replay.bag_poses import BagPoses
from quantv2x_ros.nodes.replay.playlist import Event, Track

_WARN = get_logger("replay").warning


class BagPlaylist:
    """Sweeps and poses of a rosbag2; see `Playlist`.

    An agent is a namespace with ``points`` (PointCloud2) and ``pose`` (PoseWithCovarianceStamped),
    or has the topics that `BagTopics` names. The messages are published as they were recorded, byte
    for byte, but for the stamps of repetitions, stamps of 0, and poses of other types or from TF.
    """

    def __init__(
        self,
        path: Path,
        agents: Sequence[str],
        unheard: Collection[int] | None = None,
        warn: Callable[[str], object] = _WARN,
        topics: BagTopics = DEFAULT_TOPICS,
        map_frame: str = MAP_FRAME,
    ) -> None:
        """Open the bag.

        Args:
            path: path of the bag.
            agents: namespaces of the agents that are played, without slashes, the ego first.
            unheard: ids of stations whose indices are not played; None plays no indices.
            warn: called with a sentence about messages that are not played as recorded.
            topics: names of the topics of its agents.
            map_frame: name of the frame of poses from TF.

        Raises:
            ValueError: for a bag that is damaged, lacks an agent, or the indices to be played.
        """
        known = topics.agents(path)
        unknown = [agent for agent in agents if agent not in known]
        if unknown or not agents:
            raise ValueError(
                f"agents: got {', '.join(agents) or 'none'}, {path} has {', '.join(known)}"
            )
        self.name = str(path)
        self._topics: dict[str, str] = {}
        self._poses = BagPoses(map_frame, warn)
        self.tracks: Sequence[Track] = []
        names = ReplaySource(str(path), tuple(agents), is_bag=True)
        for agent in agents:
            points, pose = (topic_of(names.namespace(agent), n) for n in ("points", "pose"))
            self._topics[known[agent].points] = points
            if known[agent].pose:
                self._topics[known[agent].pose] = pose
            self._poses.add_agent(known[agent], points, pose)
            cloud = Track(points, PointCloud2, is_awaited=True, is_cloud=True)
            self.tracks = [*self.tracks, cloud, Track(pose, PoseWithCovarianceStamped)]
        with BagReader(path) as bag:
            truth = bag.topics.get(TRUTH_TOPIC)
            if truth is not None and truth.msgtype == MARKERS_TYPE:
                self._topics[TRUTH_TOPIC] = "ground_truth"
                self.tracks = [*self.tracks, Track("ground_truth", MarkerArray)]
            self._heard: Mapping[str, type] = {}
            if unheard is not None:
                self._heard = _index_types(bag)
                tracks = (_index_track(topic, kind) for topic, kind in self._heard.items())
                self.tracks = [*self.tracks, *tracks]
                self._topics.update({topic: topic for topic in self._heard})
            self._unheard = frozenset(unheard or ())
            used = self._poses.transform_topics(bag)
            self._topics.update({topic: topic for topic in used})
            latched = {CODEBOOK_TOPIC, *TRANSFORM_TOPICS}
            self._events = BagEvents(bag, self._topics, latched, warn)
            self.start_ns = self._events.start_ns
            self.period_ns = bag.end - self.start_ns + round(FRAME_PERIOD * 1e9)

    def events(self, offset_ns: int) -> Iterator[Event]:
        """Yield the messages as recorded."""
        for event in self._poses.complete(self._events.read(offset_ns), offset_ns):
            kind = self._heard.get(event.topic)
            if kind and _station_of(event.message, kind) in self._unheard:
                continue
            yield replace(event, is_ego_sweep=event.topic == "points")


class IndicesPlaylist:
    """The indices of a rosbag2, without any cloud; see `Playlist`.

    What was on the air is enough to fuse, the ego's own indices included.
    """

    def __init__(
        self, path: Path, stations: Sequence[int], warn: Callable[[str], object] = _WARN
    ) -> None:
        """Open the bag.

        Args:
            path: path of the bag.
            stations: ids of the stations whose indices are played, the ego's first.
            warn: called with a sentence about messages that are not played as recorded.

        Raises:
            ValueError: for a bag that is damaged or has no indices.
        """
        self._stations, self._ego = frozenset(stations), stations[0]
        self.name = f"the indices in {path}"
        with BagReader(path) as bag:
            tracks = [
                _index_track(topic, kind, is_awaited=topic == INDICES_TOPIC)
                for topic, kind in _index_types(bag).items()
            ]
            topics = {track.topic: track.topic for track in tracks}
            self._events = BagEvents(bag, topics, {CODEBOOK_TOPIC}, warn)
            self.start_ns = self._events.start_ns
            self.period_ns = bag.end - self.start_ns + round(FRAME_PERIOD * 1e9)
        self.tracks: Sequence[Track] = tracks

    def events(self, offset_ns: int) -> Iterator[Event]:
        """Yield the messages of the chosen stations as recorded."""
        types = {track.topic: track.message_type for track in self.tracks}
        for event in self._events.read(offset_ns):
            station = _station_of(event.message, types[event.topic])
            if station in self._stations:
                is_ego = station == self._ego and event.topic == INDICES_TOPIC
                yield replace(event, is_ego_sweep=is_ego)


def _station_of(content: bytes, kind: type) -> int:
    """Return the station that a message of indices, or an announcement, is of.

    Raises:
        PacketError: for a packet that is too short.
    """
    message = deserialize_message(content, kind)
    return station_of(message.packet) if kind is BevIndices else int(message.station_id)


def _index_types(bag: BagReader) -> dict[str, type]:
    """Return the topics of a bag's indices and announcements, which may be missing, by type.

    Raises:
        ValueError: for a bag without indices.
    """
    if INDICES_TOPIC not in bag.topics:
        raise ValueError(f"bag {bag.path}: it has no {INDICES_TOPIC}, so nothing that was heard")
    announced = {CODEBOOK_TOPIC: Codebook} if CODEBOOK_TOPIC in bag.topics else {}
    return {INDICES_TOPIC: BevIndices, **announced}


def _index_track(topic: str, kind: type, is_awaited: bool = False) -> Track:
    return Track(topic, kind, is_awaited, is_latched=topic == CODEBOOK_TOPIC)
