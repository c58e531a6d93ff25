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
from quantv2x_ros.evaluation.inbox import Inbox, Letter
from quantv2x_ros.evaluation.moments import Moment, Moments
from quantv2x_ros.evaluation.motion import moved_on
from quantv2x_ros.evaluation.radio import Radio
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link
from quantv2x_ros.inference.protocol import Detector, Percept


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
        self._config = config
        self._inbox = Inbox(radio, config, scenario)
        self._letters: list[Letter] = []

    def listen(self, moments: Moments, moment: Moment) -> None:
        """Let a moment go by: take in what arrives. Must be called once for each, in their order.

        Args:
            moments: What was sent lately.
            moment: Now.
        """
        self._letters = self._inbox.step(moments, moment)

    def view(self, moments: Moments, moment: Moment) -> View:
        """Fuse what the ego has at the moment to which was listened last."""
        own = moment.sent[moment.ego]
        heard = [self._open(moments, moment, letter) for letter in self._letters]
        poses = [own.pose, *(message.pose for message in heard)]
        percepts = [own.own_percept, *(message.percept for message in heard)]
        transforms = np.stack([transform_between(own.pose, pose) for pose in poses])
        fused = self._detector.fuse(percepts, transforms)
        stages = add_stages([*(percept.stage_ms for percept in percepts), fused.stage_ms])
        found = in_sensor_frame(fused.detections, own.level)
        return View(found, len(percepts), own.encoding_ms + sum(stages.values()))

    def _open(self, moments: Moments, moment: Moment, letter: Letter) -> Heard:
        """Return what the ego makes of a peer's sweep."""
        pose = displaced(letter.moment.sent[letter.name].pose, self._config.link, letter.noise)
        heard = Heard(letter.perceive(self._detector), pose)
        if self._config.align:
            heard = self._aligned(moments, moment, letter.moment, letter.name, heard)
        if self._config.compensate:
            percept = moved_on(
                self._detector.bundle,
                moments,
                letter.moment,
                letter.name,
                heard.percept,
                moment.number,
            )
            heard = Heard(percept, heard.pose)
        return heard

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
