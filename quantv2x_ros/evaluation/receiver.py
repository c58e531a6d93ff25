# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ego of an evaluation: hears its peers over a link that may be late, lossy and inexact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.pose_alignment import AlignmentSettings, align_peer
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.evaluation.detector import add_stages
from quantv2x_ros.evaluation.frame_history import FrameHistory, FrameState
from quantv2x_ros.evaluation.inbox import Inbox, ReceivedSweep
from quantv2x_ros.evaluation.motion import moved_on
from quantv2x_ros.evaluation.radio import Radio
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link
from quantv2x_ros.inference.protocol import AgentFeatures, Detector


@dataclass(frozen=True, eq=False)
class Heard:
    """A peer's message as it arrived.

    Attributes:
        agent_features: What the receiver makes of it.
        pose: (4, 4) where the receiver believes that the peer was.
    """

    agent_features: AgentFeatures
    pose: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EgoView:
    """What the ego saw in one frame.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        agents: Agents that were fused, the ego included.
        latency_ms: From the ego's sweep to the boxes: its encoding, all pyramids, the fusion.
    """

    detections: Detections
    agents: int
    latency_ms: float


class Receiver:
    """Detects in frames of one scenario, with the draws of one seed."""

    def __init__(
        self, detector: Detector, radio: Radio, config: EvaluationConfig, scenario: int
    ) -> None:
        """Set up.

        Args:
            detector: What detects.
            radio: Carries the messages.
            config: Who cooperates, over what link.
            scenario: Number of the scenario, for the draws.
        """
        self._detector = detector
        self._config = config
        self._inbox = Inbox(radio, config, scenario)
        self._letters: list[ReceivedSweep] = []

    def listen(self, history: FrameHistory, state: FrameState) -> None:
        """Let a frame go by: take in what arrives. Must be called once for each, in their order.

        Args:
            history: What was sent lately.
            state: The frame now.
        """
        self._letters = self._inbox.step(history, state)

    def view(self, history: FrameHistory, state: FrameState) -> EgoView:
        """Fuse what the ego has in the frame that was heard last."""
        own = state.sent[state.ego]
        heard = [self._open(history, state, received) for received in self._letters]
        poses = [own.pose, *(message.pose for message in heard)]
        all_features = [own.own_features, *(message.agent_features for message in heard)]
        transforms = np.stack([transform_between(own.pose, pose) for pose in poses])
        fused = self._detector.fuse(all_features, transforms)
        stages = add_stages(
            [*(agent_features.stage_ms for agent_features in all_features), fused.stage_ms]
        )
        found = in_sensor_frame(fused.detections, own.level)
        return EgoView(found, len(all_features), own.encoding_ms + sum(stages.values()))

    def _open(self, history: FrameHistory, state: FrameState, received: ReceivedSweep) -> Heard:
        """Return what the ego makes of a peer's sweep."""
        pose = displaced(received.state.sent[received.name].pose, self._config.link, received.noise)
        heard = Heard(received.extract(self._detector), pose)
        if self._config.align:
            heard = self._aligned(history, state, received.state, received.name, heard)
        if self._config.compensate:
            agent_features = moved_on(
                self._detector.bundle,
                history,
                received.state,
                received.name,
                heard.agent_features,
                state.number,
            )
            heard = Heard(agent_features, heard.pose)
        return heard

    def _aligned(
        self, history: FrameHistory, state: FrameState, past: FrameState, name: str, message: Heard
    ) -> Heard:
        """Correct a peer's pose by the objects that both see."""
        own = state.sent[state.ego].pose
        alignment = align_peer(
            history.alone(state, state.ego),
            history.alone(past, name),
            transform_between(message.pose, own),
            AlignmentSettings(),
        )
        return Heard(message.agent_features, own @ alignment.peer_to_ego)


def displaced(
    pose: npt.NDArray[np.float64], link: Link, noise: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return a pose moved in x, y of the map and turned about its own z by scaled noise (3,)."""
    if link.pose_noise == 0.0 and link.heading_deviation == 0.0:
        return pose
    angle = np.radians(link.heading_deviation * noise[2])
    moved = pose.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved[:2, :3] = turn @ pose[:2, :3]
    moved[:2, 3] += link.pose_noise * noise[:2]
    return moved
