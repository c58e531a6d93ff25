# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replay node: plays a dataset folder, a rosbag2 or a simulated scene as topics, with a clock."""

from __future__ import annotations

from typing import Any, ClassVar

from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage

from quantv2x_ros.data.bag_times import duration_text, time_text
from quantv2x_ros.graph.parameters.replay import ReplayParameters
from quantv2x_ros.graph.replay_source import INDICES_TOPIC
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import time_message
from quantv2x_ros.nodes.common.managed import NodeError
from quantv2x_ros.nodes.replay import transforms
from quantv2x_ros.nodes.replay.audience import Audience
from quantv2x_ros.nodes.replay.player import Player, ResultPace, stamp_of
from quantv2x_ros.nodes.replay.playlist import Event, Track
from quantv2x_ros.nodes.replay.recording import find_recording, open_recording

_MEGABYTE = 1_000_000


class ReplayNode(BaseNode):
    """Plays a recording as if its sensors were here.

    Publications, of the ego ``points``, ``pose`` and ``ground_truth``, of each peer the first two
    in its namespace; ``/clock``, so that the other nodes run on the recording's time
    (use_sim_time); ``/tf`` where tf2_msgs is installed. Of a bag with indices alone,
    ``/v2x/bev_indices`` and ``/v2x/codebook``.
    """

    defaults: ClassVar[ReplayParameters] = ReplayParameters()
    parameters: ReplayParameters

    def __init__(self, **options: Any) -> None:
        """Create the node; unless its lifecycle is left to others, open the recording and play.

        Args:
            options: options of `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter or recording that cannot be used.
        """
        super().__init__("replay", **options)
        self._player: Player | None = None
        self._pace: ResultPace | None = None
        self._frames = 0
        self._last_sweep_ns: int | None = None
        self.begin()

    def configure(self) -> None:
        """Open the recording."""
        source = find_recording(self.parameters, self.get_logger().info)
        self._playlist = playlist = open_recording(
            self.parameters, source, self.get_logger().warning
        )
        self._publishers_by_topic = {
            track.topic: self.create_publisher(
                track.message_type,
                track.topic,
                _profile(track),
            )
            for track in playlist.tracks
        }
        awaited = [self._publishers_by_topic[t.topic] for t in playlist.tracks if t.is_awaited]
        listener = self.parameters.wait_for or ("fusion" if source.indices_only else "encoder")
        self._audience = Audience(self, awaited, listener)
        self._clock_publisher = self.create_publisher(ClockMessage, "/clock", qos.clock_output())
        self._transforms = (
            transforms.TransformPublisher(self, playlist.tracks[0].topic)
            if transforms.TRANSFORM_MESSAGE is not None and playlist.tracks[0].is_cloud
            else None
        )

    def activate(self) -> None:
        """Play from the beginning, once the expected nodes listen."""
        super().activate()
        self._frames = 0
        self._last_sweep_ns = None
        how = self.parameters
        self._pace = ResultPace(self, how.result_timeout) if how.pace == "results" else None
        awaited = f", once {self._audience}" if how.wait else ""
        pace = "" if self._pace is None else " at most, as its boxes come out"
        self.get_logger().info(f"playing {self._playlist.name} at {how.rate} x{pace}{awaited}")
        self._player = Player(
            self._playlist,
            rate=how.rate,
            loop=how.loop,
            wait=how.wait,
            settle=how.settle,
            read_ahead=how.read_ahead * _MEGABYTE,
            max_gap=how.max_gap,
            is_heard=self._is_heard,
            on_waiting=self._on_waiting,
            on_unheard=self._on_unheard,
            on_gap=self._on_gap,
            may_play=lambda time_ns: self._pace is None or self._pace.may_play(time_ns),
            publish=self._publish,
            publish_clock=self._publish_clock,
            on_end=self._end,
        )

    def deactivate(self) -> None:
        """Stop playing."""
        player, self._player = self._player, None
        if player is not None:
            player.stop()

    def _is_heard(self) -> bool:
        return self._audience.is_complete and (self._pace is None or self._pace.has_fusion)

    def _on_waiting(self, seconds: float) -> None:
        """Log whom the player waits for; called by the player."""
        lacks = (
            "nobody publishes objects yet, which sets the pace"
            if self._audience.is_complete
            else self._audience.complaint()
        )
        self.get_logger().info(f"playing waits for {seconds:.0f} s so far: {lacks}")

    def _on_unheard(self) -> None:
        """Called by the player where it has waited in vain; what is raised here ends it."""
        complaint = f"after {self.parameters.wait:g} s {self._audience.complaint()}"
        if self._audience.is_empty and not self.parameters.loop:
            raise NodeError(
                f"{complaint}; start it, name another node by wait_for, or play at once: wait 0.0"
            )
        self.get_logger().warning(f"{complaint}; playing all the same")

    def _on_gap(self, last_ns: int, next_ns: int, is_skipped: bool) -> None:
        """Log a gap in which nothing is played; called by the player."""
        gap = f"no message for {duration_text(next_ns - last_ns)}, from {time_text(last_ns)} to"
        how = "skipped (max_gap" if is_skipped else "waiting for its end (max_gap"
        self.get_logger().warning(
            f"{gap} {time_text(next_ns)}: {how} {self.parameters.max_gap:g} s)"
        )

    def _publish(self, event: Event) -> None:
        publisher = self._publishers_by_topic[event.topic]
        if callable(event.message):
            if publisher.get_subscription_count():
                publisher.publish(event.message())
            return
        if event.is_ego_sweep and self._pace is not None:
            self._pace.note_sweep(event.message, event.time_ns)
        publisher.publish(event.message)
        if self._transforms is not None:
            self._transforms.note(event.topic, event.message)
        if event.is_ego_sweep:
            self._count(stamp_of(event.message))

    def _count(self, stamp_ns: int) -> None:
        """Count the ego's sweeps, of which the indices are several messages."""
        if stamp_ns != self._last_sweep_ns:
            self._last_sweep_ns = stamp_ns
            self._frames += 1
            self.note_frame({})

    def _publish_clock(self, time_ns: int) -> None:
        self._clock_publisher.publish(ClockMessage(clock=time_message(time_ns)))

    def _end(self, failure: BaseException | None) -> None:
        """Finish the node; called by the player when it has ended."""
        self.failure = failure
        if failure is None:
            self.get_logger().info(f"played {self._frames} sweeps of the ego")
            self.finished = self.parameters.exit_at_end

    def report(self) -> tuple[str, dict[str, str]]:
        """Return the number of sweeps played, and the delay by reading."""
        return f"played {self._frames} sweeps of the ego", {
            "late [s]": f"{self._player.late_seconds if self._player else 0.0:.2f}",
            "sweeps without boxes": str(0 if self._pace is None else self._pace.missing),
        }


def _profile(track: Track) -> QoSProfile:
    if track.is_latched:
        return qos.latched_input()  # one message of each station, not of the last one alone
    if track.topic == INDICES_TOPIC:
        return qos.indices_output()
    return qos.sensor_output() if track.is_cloud else qos.pose_output()
