# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the agents of a scenario send in a frame: computed once for all settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker, TrackedObjects
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.sweep_sender import SentSweep
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.modes import possible_egos, select_agents
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.settings import EvaluationConfig, Sending
from quantv2x_ros.inference.protocol import (
    Broadcast,
    Detector,
    IndexArray,
    Message,
    indices_of,
    pyramid_of,
)
from quantv2x_ros.inference.results import AgentPyramid, FusionResult


@dataclass(eq=False)
class Sent:
    """The sweep that one agent sent in one frame.

    Attributes:
        detector: Detector that encoded it, and that computes its features.
        broadcast: The bytes sent, and the feature that stayed with the agent.
        message: Decoded content of those bytes.
        pose: (4, 4) grid_to_map: of the sensor as its cloud was levelled and turned.
        encoding_ms: Time that the sender took, milliseconds.
        ego_to_agent: (4, 4) from the frame of the state's ego to that of its grid.
        level: (4, 4) from its LiDAR's frame to the levelled one; `None` where it was not levelled.
        listeners: (4, 4) grid_to_map of all other agents.
        frames: What it sends by the way of sending and the bytes that are left to it, as far as
            that was asked for.
        tiles: The same as a receiver decodes it.
    """

    detector: Detector
    broadcast: Broadcast
    message: Message
    pose: npt.NDArray[np.float64]
    encoding_ms: float
    ego_to_agent: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64] | None = None
    listeners: tuple[npt.NDArray[np.float64], ...] = ()
    frames: dict[tuple[Sending, int | None], SentSweep] = field(default_factory=dict)
    tiles: dict[tuple[Sending, int | None], tuple[Tile, ...]] = field(default_factory=dict)

    @property
    def indices(self) -> IndexArray:
        """Return its index map (planes, H, W).

        Raises:
            MessageError: Where the detector sends features as they are.
        """
        return indices_of(self.message)

    @cached_property
    def pyramid(self) -> AgentPyramid:
        """What a receiver makes of it if all of it arrives."""
        return pyramid_of(self.detector, self.message, self.ego_to_agent)

    @cached_property
    def own_pyramid(self) -> AgentPyramid:
        """What the agent itself makes of its sweep."""
        if self.broadcast.own is None:
            return self.pyramid
        return self.detector.own_pyramid(self.broadcast.own)


@dataclass(frozen=True, eq=False)
class OwnView:
    """What an agent finds without others, in its own frame.

    Attributes:
        detections: The boxes.
        tracked: What is known of them from the frames before.
    """

    detections: Detections
    tracked: TrackedObjects


@dataclass(frozen=True, eq=False)
class FrameState:
    """One frame, and the sweeps that were sent in it.

    Attributes:
        number: Number of the frame in its scenario, from 0.
        frame: The frame, its agents in the frames of their grids.
        sent: Agent → sweep that it sent, the ego first.
    """

    number: int
    frame: Frame
    sent: dict[str, Sent]
    _trackers: dict[str, ObjectTracker] = field(default_factory=dict)
    _alone: dict[str, FusionResult] = field(default_factory=dict)
    _views: dict[str, OwnView] = field(default_factory=dict)

    def fuse_alone(self, name: str) -> FusionResult:
        """Return what an agent sees without others, in its own frame; computed once."""
        if name not in self._alone:
            sent = self.sent[name]
            self._alone[name] = sent.detector.fuse([sent.own_pyramid], np.eye(4)[None])
        return self._alone[name]

    def own_view(self, name: str) -> OwnView:
        """Return what an agent finds alone, and how fast; computed once, in the frames' order.

        It follows its objects by its true pose: real errors do not change from sweep to sweep as
        draws of them do.
        """
        if name not in self._views:
            found = self.fuse_alone(name).detections
            tracker = self._trackers.setdefault(name, ObjectTracker())
            if not tracker.is_later(self.stamp_ns / 1e9):  # the scenario is played anew
                tracker.reset()
            tracked = tracker.update(found, self.sent[name].pose, self.stamp_ns / 1e9)
            self._views[name] = OwnView(found, tracked)
        return self._views[name]

    @property
    def stamp_ns(self) -> int:
        """Time of the frame in its scenario, nanoseconds."""
        return self.number * round(1e9 * FRAME_PERIOD)

    @property
    def ego(self) -> str:
        """Return the name of the ego."""
        return next(iter(self.sent))


def choose_agents(frame: Frame, config: EvaluationConfig) -> list[str]:
    """Return the agents that take part, the ego first, then the nearest; empty without an ego."""
    if not possible_egos(frame, config.mode):
        return []
    ego, *peers = select_agents(frame, config.mode, limit=config.communication_range)
    origin = frame[ego].pose[:2, 3]
    peers.sort(key=lambda name: float(np.hypot(*(frame[name].pose[:2, 3] - origin))))
    return [ego, *peers[: config.agents - 1]]


class ScenarioAgents:
    """The agents of one scenario, which code and send each of its frames in turn."""

    def __init__(self, detector: Detector, grids: AgentGrids | None = None) -> None:
        """Start at the beginning of a scenario.

        Args:
            detector: Encodes and perceives.
            grids: Lays the agents' grids; `None` leaves them as the sensors lie.
        """
        self._detector = detector
        self._grids = grids
        self._trackers: dict[str, ObjectTracker] = {}

    def send(self, number: int, frame: Frame, agents: Sequence[str]) -> FrameState:
        """Let agents send in the next frame.

        Args:
            number: Of the frame in its scenario.
            frame: The frame.
            agents: Who takes part, the ego first.

        Raises:
            DatasetError: If a cloud is missing or damaged.
        """
        if self._grids is not None:
            frame = self._grids.lay(frame, agents, FRAME_PERIOD * number)
        sent = {name: self._send(frame, name, agents) for name in agents}
        return FrameState(number, frame, sent, self._trackers)

    def _send(self, frame: Frame, name: str, agents: Sequence[str]) -> Sent:
        broadcast = self._detector.broadcast(frame[name].points)
        return Sent(
            detector=self._detector,
            broadcast=broadcast,
            message=self._detector.decode(broadcast.payload),
            pose=frame[name].pose,
            encoding_ms=sum(broadcast.stage_ms.values()),
            ego_to_agent=transform_between(frame[agents[0]].pose, frame[name].pose),
            level=frame[name].level,
            listeners=tuple(frame[other].pose for other in agents if other != name),
        )
