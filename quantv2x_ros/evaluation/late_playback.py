# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario in which agents send boxes instead of features, for comparison."""

from __future__ import annotations

import heapq
from collections import Counter

from quantv2x_ros.core.channel.cpm import cpm_sizes
from quantv2x_ros.core.fusion.late_fusion import late_fusion
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.evaluation.air import Outgoing, make_air
from quantv2x_ros.evaluation.box_link import BoxLink, BoxMessage, sent_boxes
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import EgoView, draw_peers
from quantv2x_ros.evaluation.settings import EvaluationConfig, Sending
from quantv2x_ros.inference.model.bundle import ModelBundle


class LatePlayback:
    """Plays one scenario to an ego that fuses its own boxes with those that its peers send.

    Each agent detects alone, and follows its objects for their velocities. Its boxes go in
    collective perception messages (`core.channel.cpm`) over the same air as features would. Of
    each peer the ego uses the newest sweep of which something has come, up to the receiver's
    `peer_timeout`; the boxes are moved on to the ego's time.

    Attributes:
        refused: Always empty: there is no message that the receiver would not use.
    """

    def __init__(self, bundle: ModelBundle, config: EvaluationConfig, scenario: int) -> None:
        """Start before the first frame.

        Args:
            bundle: The model, for the thresholds.
            config: Who cooperates, and over what link.
            scenario: Number of the scenario, for the draws.
        """
        self._detection = bundle.detection
        self._config = config
        self._scenario = scenario
        self._air = make_air(self._packets, config.link, scenario)
        self.refused: Counter[str] = Counter()
        self.reset()

    @property
    def air_counts(self) -> Counter[str]:
        """What became of the messages on the air; empty without a channel."""
        return self._air.counts

    def reset(self) -> None:
        """Begin anew, as a node that is started: frames were left out."""
        self._boxes = BoxLink()
        self._on_the_way: list[tuple[float, int, BoxMessage]] = []
        self._put = 0

    def play(self, state: FrameState, detect: bool = True) -> EgoView | None:
        """Let a frame go by; must be called once for each, in their order.

        Args:
            state: What the agents see in it.
            detect: Whether the ego's boxes are wanted.
        """
        if not self._config.ego_only:
            self._send(state)
        receiver = self._config.receiver
        own_delay = self._config.link.own_delay_ms / 1e3
        until = state.stamp_ns / 1e9 + own_delay + self._config.link.objects_delay_ms / 1e3
        while self._on_the_way and self._on_the_way[0][0] <= until:
            self._boxes.hear(heapq.heappop(self._on_the_way)[2])
        if not detect:
            return None
        own, alone = state.sent[state.ego], state.fuse_alone(state.ego)
        times = (own.own_pyramid.stage_ms, alone.stage_ms)
        latency = own.encoding_ms + sum(sum(stages.values()) for stages in times)
        heard = self._boxes.heard(state, receiver.peer_timeout)
        views = [alone.detections, *heard.values()]
        found, _ = late_fusion(views, self._detection)
        return EgoView(in_sensor_frame(found, own.level), len(views), latency)

    def _packets(self, state: FrameState, name: str) -> list[Outgoing]:
        link = self._config.link
        delay = link.objects_delay_ms / 1e3
        return [Outgoing(size, delay) for size in box_sizes(state, name, link.sending)]

    def _send(self, state: FrameState) -> None:
        """Put the peers' boxes on the air."""
        link = self._config.link
        start = state.stamp_ns / 1e9 + link.latency_ms / 1e3
        draws, poses = draw_peers(state, link, self._scenario)
        for name, arrivals in self._air.carry(state, draws).items():
            messages = self._boxes.messages(state, name, link.sending.budget, poses[name])
            for number, after in arrivals.items():
                heapq.heappush(self._on_the_way, (start + after, self._put, messages[number]))
                self._put += 1


def box_sizes(state: FrameState, name: str, sending: Sending) -> list[int]:
    """Return the sizes of the messages in which an agent sends its boxes, bytes."""
    return cpm_sizes(len(sent_boxes(state, name, sending.budget)))
