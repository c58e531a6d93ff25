# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ego of an evaluation: hears its peers over a link that may be late, lossy and inexact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection import Detections
from quantv2x_ros.core.pose import transform_between
from quantv2x_ros.core.pose_alignment import AlignmentSettings, align_peer
from quantv2x_ros.offline.detector import Detector, Percept, add_stages
from quantv2x_ros.offline.moments import Moment, Moments, Sent
from quantv2x_ros.offline.motion import moved_on
from quantv2x_ros.offline.radio import Radio
from quantv2x_ros.offline.settings import EvaluationConfig, Link


@dataclass(frozen=True, eq=False)
class Heard:
    """A peer's message as it arrived.

    Attributes:
        percept: What the receiver makes of it.
        pose: (4, 4) where the receiver believes that the peer was.
    """

    percept: Percept
    pose: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """What the ego saw at one moment.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        agents: Agents that were fused, the ego included.
        latency_ms: From the ego's sweep to the boxes: its encoding, all pyramids, the fusion.
    """

    detections: Detections
    agents: int
    latency_ms: float


class Receiver:
    """Detects at moments of one scenario, with the draws of one seed."""

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
        self._radio = radio
        self._config = config
        self._scenario = scenario

    def view(self, moments: Moments, moment: Moment) -> View:
        """Fuse what the ego has at a moment."""
        own = moment.sent[moment.ego]
        heard = [] if self._config.ego_only else self._hear(moments, moment)
        poses = [own.pose, *(message.pose for message in heard)]
        percepts = [own.percept, *(message.percept for message in heard)]
        transforms = np.stack([transform_between(own.pose, pose) for pose in poses])
        fused = self._detector.fuse(percepts, transforms)
        stages = add_stages([*(percept.stage_ms for percept in percepts), fused.stage_ms])
        return View(fused.detections, len(percepts), own.encoding_ms + sum(stages.values()))

    def _hear(self, moments: Moments, moment: Moment) -> list[Heard]:
        """Return what of the peers' messages is in by now."""
        past = moments.at(moment.number - self._config.link.delay)
        if past is None:
            return []
        peers = [name for name in past.sent if name != moment.ego][: self._config.agents - 1]
        messages = []
        for index, name in enumerate(peers):
            # the same draws for every strength of loss and noise, so that strengths compare
            rng = np.random.default_rng(
                [self._config.link.seed, self._scenario, moment.number, index]
            )
            message = self._transmit(past.sent[name], rng)
            if message is not None and self._config.align:
                message = self._aligned(moments, moment, past, name, message)
            if message is not None and self._config.compensate:
                percept = moved_on(
                    self._detector.bundle, moments, past, name, message.percept, moment.number
                )
                message = Heard(percept, message.pose)
            if message is not None:
                messages.append(message)
        return messages

    def _aligned(
        self, moments: Moments, moment: Moment, past: Moment, name: str, message: Heard
    ) -> Heard:
        """Correct a peer's pose by the objects that both see."""
        own = moment.sent[moment.ego].pose
        alignment = align_peer(
            moments.alone(moment, moment.ego),
            moments.alone(past, name),
            transform_between(message.pose, own),
            AlignmentSettings(),
        )
        return Heard(message.percept, own @ alignment.peer_to_ego)

    def _transmit(self, sent: Sent, rng: np.random.Generator) -> Heard | None:
        link = self._config.link
        noise = rng.standard_normal(3)
        percept = self._radio.receive(sent, link, rng)
        return None if percept is None else Heard(percept, displaced(sent.pose, link, noise))


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
