# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replay node: plays a dataset folder, a rosbag2 or a simulated scene as topics, with a clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.nodes import qos, transforms
from quantv2x_ros.nodes.bag_playlist import BagPlaylist, IndicesPlaylist
from quantv2x_ros.nodes.base import BaseNode
from quantv2x_ros.nodes.conversions import time_message
from quantv2x_ros.nodes.parameters import declare
from quantv2x_ros.nodes.player import Player
from quantv2x_ros.nodes.playlist import Event, Playlist, ScenarioPlaylist, Track
from quantv2x_ros.replay_source import INDICES_TOPIC, ReplaySource


class ReplayNode(BaseNode):
    """Plays a recording as if its sensors were here.

    Publications, of the ego ``points``, ``pose`` and ``ground_truth``, of each peer the first two
    in its namespace; ``/clock``, so that the other nodes run on the recording's time
    (use_sim_time); ``/tf`` where tf2_msgs is installed. Of a bag with indices alone,
    ``/v2x/bev_indices`` and ``/v2x/codebook``.
    """

    def __init__(self, **options: Any) -> None:
        """Create the node; unless its lifecycle is left to others, open the recording and play.

        Args:
            options: passed on to `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter or recording that cannot be used.
        """
        super().__init__("replay", **options)
        self._player: Player | None = None
        self._frames = 0
        self.begin()

    def configure(self) -> None:
        """Open the recording."""
        self._playlist = playlist = self._declare()
        self._publishers_by_topic = {
            track.topic: self.create_publisher(
                track.message_type,
                track.topic,
                _profile(track),
            )
            for track in playlist.tracks
        }
        self._awaited = [track.topic for track in playlist.tracks if track.is_awaited]
        self._clock_publisher = self.create_publisher(ClockMessage, "/clock", qos.clock_output())
        self._transforms = (
            transforms.TransformPublisher(self, playlist.tracks[0].topic)
            if transforms.TRANSFORM_MESSAGE is not None and playlist.tracks[0].is_cloud
            else None
        )

    def activate(self) -> None:
        """Play from the beginning, as soon as somebody listens."""
        super().activate()
        self._frames = 0
        self.get_logger().info(f"playing {self._playlist.name} at {self._rate} x")
        self._player = Player(
            self._playlist,
            rate=self._rate,
            loop=self._loop,
            wait=self._wait,
            settle=self._settle,
            read_ahead=self._read_ahead * 1_000_000,
            is_heard=self._is_heard,
            publish=self._publish,
            publish_clock=self._publish_clock,
            on_end=self._end,
        )

    def deactivate(self) -> None:
        """Stop to play."""
        player, self._player = self._player, None
        if player is not None:
            player.stop()

    def cleanup(self) -> None:
        """Close the recording."""
        self.release("_playlist", "_publishers_by_topic", "_clock_publisher", "_transforms")

    def _declare(self) -> Playlist:
        path = declare(
            self,
            "path",
            "",
            "V2X-Real or OPV2V scenario, or a rosbag2 (folder, .mcap or .db3); empty for a "
            "simulated scene, which is made and kept in the user's cache folder.",
        )
        agents = declare(
            self,
            "agents",
            "all",
            "Agents to play, the ego first: all, a number, or names with commas between.",
        )
        self._rate = declare(self, "rate", 1.0, "Speed against real time.", low=0.01, high=100.0)
        self._loop = declare(self, "loop", False, "Start again at the end; stamps go on growing.")
        self._exit_at_end = declare(
            self, "exit_at_end", True, "End the process after the last message."
        )
        self._wait = declare(
            self,
            "wait",
            60.0,
            "Longest wait for a listener to every cloud before playing starts [s].",
            low=0.0,
            high=3600.0,
        )
        self._settle = declare(
            self,
            "settle",
            2.5,
            "Then the time for the nodes to find each other, which DDS takes up to [s].",
            low=0.0,
            high=60.0,
        )
        self._read_ahead = declare(
            self,
            "read_ahead",
            256,
            "Memory for messages that are read before their time, also while playing waits to be "
            "heard [MB].",
            low=1,
            high=65_536,
        )
        self._listener = declare(
            self,
            "wait_for",
            "",
            "Name of the node that playing waits for on each topic; any: whoever listens, also a "
            "recorder; empty: encoder, or fusion where indices are played.",
        )
        map_frame = declare(self, "map_frame", "map", "Name of the map frame.")
        truth = declare(self, "truth", True, "Publish the labels as dashed boxes (ground_truth).")
        indices = declare(
            self,
            "indices",
            False,
            "Play a bag's indices instead of its clouds; one without clouds is always played so.",
        )
        heard = declare(
            self,
            "heard",
            False,
            "Play, beside the clouds of a bag's agents, the indices that it holds of others: what "
            "the ego heard.",
        )
        source = ReplaySource.find(path, agents, self.get_logger().info, indices)
        self._listener = self._listener or ("fusion" if source.indices_only else "encoder")
        if source.indices_only:
            stations = [source.station(agent) for agent in source.agents]
            return IndicesPlaylist(Path(source.path), stations)
        if source.is_bag:
            played = [source.station(agent) for agent in source.agents]
            return BagPlaylist(Path(source.path), source.agents, played if heard else None)
        if heard:
            raise ValueError(
                f"heard: {source.path} is no rosbag2, so nothing was heard; make one with "
                "`python -m quantv2x_ros record --indices`"
            )
        return ScenarioPlaylist(Scenario.open(source.path), source.agents, map_frame, truth)

    def _is_heard(self) -> bool:
        """Whether every cloud has its listener."""
        return all(self._has_listener(topic) for topic in self._awaited)

    def _has_listener(self, topic: str) -> bool:
        publisher = self._publishers_by_topic[topic]
        if self._listener == "any":
            return bool(publisher.get_subscription_count())
        listeners = self.get_subscriptions_info_by_topic(publisher.topic_name)
        return any(info.node_name == self._listener for info in listeners)

    def _publish(self, event: Event) -> None:
        publisher = self._publishers_by_topic[event.topic]
        if callable(event.message):
            if publisher.get_subscription_count():
                publisher.publish(event.message())
            return
        publisher.publish(event.message)
        if self._transforms is not None:
            self._transforms.note(event.topic, event.message)
        if event.is_ego_sweep:
            self._frames += 1
            self.note_frame({})

    def _publish_clock(self, time_ns: int) -> None:
        self._clock_publisher.publish(ClockMessage(clock=time_message(time_ns)))

    def _end(self, failure: BaseException | None) -> None:
        """Called by the player when it has ended."""
        self.failure = failure
        if failure is None:
            self.get_logger().info(f"played {self._frames} sweeps of the ego")
            self.finished = self._exit_at_end

    def report(self) -> tuple[str, dict[str, str]]:
        """Return how far it is."""
        return f"played {self._frames} sweeps of the ego", {
            "late [s]": f"{self._player.late_seconds if self._player else 0.0:.2f}"
        }


def _profile(track: Track) -> QoSProfile:
    if track.is_latched:
        return qos.latched_input()  # one message of each station, not of the last one alone
    if track.topic == INDICES_TOPIC:
        return qos.indices_output()
    return qos.sensor_output() if track.is_cloud else qos.pose_output()
