# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector over a dataset, also on a bad link."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.evaluation import AveragePrecision
from quantv2x_ros.core.pose import transform_between
from quantv2x_ros.data.frame import COMMUNICATION_RANGE, Frame
from quantv2x_ros.data.modes import select_agents
from quantv2x_ros.data.scenario import FRAME_PERIOD, Scenario, find_scenarios
from quantv2x_ros.offline.detector import Detector


class EvaluationSettingError(ValueError):
    """A setting of an evaluation that makes no sense."""


@dataclass(frozen=True)
class Link:
    """What happens to the peers' messages.

    Attributes:
        loss: Probability that a peer's message is lost, in [0, 1].
        latency_ms: Age of a peer's message when it is fused, with the pose of then.
        pose_noise: Standard deviation of a peer's position in x and y, metres, and of its
            heading, degrees.
        seed: Of losses and noise.
    """

    loss: float = 0.0
    latency_ms: float = 0.0
    pose_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range."""
        if not 0.0 <= self.loss <= 1.0:
            raise EvaluationSettingError(f"loss must be in [0, 1], got {self.loss}")
        for name, value in (("latency_ms", self.latency_ms), ("pose_noise", self.pose_noise)):
            if not 0.0 <= value < np.inf:
                raise EvaluationSettingError(f"{name} must not be negative, got {value}")

    @property
    def delay(self) -> int:
        """Age of the peers' messages in whole frames."""
        return round(self.latency_ms / (1e3 * FRAME_PERIOD))


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate.

    Attributes:
        agents: Most agents in a frame, the ego included; the nearest peers are taken.
        ego_only: Fuse nothing but the ego's own sweep; the truth stays that of all agents.
        mode: Cooperation mode, see `select_agents`.
        protocol: Order of the detections, see `AveragePrecision`.
        link: State of the link.
        max_frames: Evaluate only so many frames, spread over the dataset; 0 is all.
    """

    agents: int = 3
    ego_only: bool = False
    mode: str = "vc"
    protocol: str = "global"
    link: Link = field(default_factory=Link)
    max_frames: int = 0

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range."""
        if self.agents < 1 or self.max_frames < 0:
            raise EvaluationSettingError(
                f"at least one agent and no negative number of frames, got {self.agents} and"
                f" {self.max_frames}"
            )


@dataclass(frozen=True, eq=False)
class _Message:
    """What a peer sent: its bytes, and where it was."""

    payload: bytes
    pose: npt.NDArray[np.float64]


class ScenarioRun:
    """Runs a detector through one scenario, frame by frame."""

    def __init__(self, detector: Detector, config: EvaluationConfig, seed: int) -> None:
        """Start at the beginning of a scenario."""
        self._detector = detector
        self._config = config
        self._generator = np.random.default_rng(seed)
        self._sent: deque[dict[str, _Message]] = deque(maxlen=config.link.delay + 1)

    def step(self, frame: Frame, metric: AveragePrecision | None) -> list[int]:
        """Take one frame.

        Args:
            frame: The moment.
            metric: Receives detections and truth; `None` only lets the agents send.

        Returns:
            Bytes of each message that was sent.
        """
        chosen = self._choose(frame)
        ego = chosen[0]
        senders = chosen[:1] if self._config.ego_only else chosen
        now = {
            name: _Message(self._detector.broadcast(frame[name].points).payload, frame[name].pose)
            for name in senders
        }
        self._sent.append(now)
        if metric is not None:
            heard = self._receive(ego)
            own = now[ego].pose
            poses = [own, *(message.pose for message in heard)]
            payloads = [now[ego].payload, *(message.payload for message in heard)]
            transforms = np.stack([transform_between(own, pose) for pose in poses])
            truth = frame.truth(ego, chosen)
            metric.add(
                self._detector.fuse(payloads, transforms).detections, truth.boxes, truth.labels
            )
        return [len(message.payload) for message in now.values()]

    def _choose(self, frame: Frame) -> list[str]:
        ego, *peers = select_agents(frame, self._config.mode)
        origin = frame[ego].pose[:2, 3]
        peers.sort(key=lambda name: float(np.hypot(*(frame[name].pose[:2, 3] - origin))))
        return [ego, *peers[: self._config.agents - 1]]

    def _receive(self, ego: str) -> list[_Message]:
        """Return the peers' messages that are in by now, with the noise of their poses."""
        link = self._config.link
        if len(self._sent) <= link.delay:
            return []
        messages = []
        for name, message in self._sent[0].items():
            if name == ego or self._generator.random() < link.loss:
                continue
            noise = self._generator.normal(0.0, link.pose_noise, 3) if link.pose_noise else None
            pose = message.pose if noise is None else _moved(message.pose, noise)
            messages.append(_Message(message.payload, pose))
        return messages


def evaluate(
    detector: Detector,
    data: str | Path,
    config: EvaluationConfig,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Evaluate a detector on a dataset.

    Args:
        detector: What detects.
        data: A dataset, a split of one, or a scenario.
        config: How.
        progress: Called with the number of frames done and of all.

    Returns:
        `{"AP": {class: {"0.3": …}}, "mAP": {…}, "objects": {…}, "bytes_per_frame": …, "frames": …}`
        with the mean length of a message, and the settings.

    Raises:
        DatasetError: If the dataset is damaged, or holds no scenario.
    """
    scenarios = [Scenario.open(folder) for folder in find_scenarios(data)]
    total = sum(len(scenario.timestamps) for scenario in scenarios)
    wanted = _spread(total, config.max_frames)
    metric = AveragePrecision(detector.bundle.classes, protocol=config.protocol)
    sizes: list[int] = []
    done = 0
    for index, scenario in enumerate(scenarios):
        run = ScenarioRun(detector, config, config.link.seed + index)
        needed = {n - done for n in wanted if done <= n < done + len(scenario.timestamps)}
        for number, timestamp in enumerate(scenario.timestamps):
            # a delayed message needs the frames before the one that is evaluated
            if any(number + ahead in needed for ahead in range(config.link.delay + 1)):
                hit = number in needed
                sizes += run.step(scenario.frame(timestamp), metric if hit else None)
                if hit and progress is not None:
                    progress(metric.frames, len(wanted))
        done += len(scenario.timestamps)
    return {
        **metric.compute(),
        "bytes_per_frame": float(np.mean(sizes)),
        "frames": metric.frames,
        **_settings(detector, config),
    }


def _settings(detector: Detector, config: EvaluationConfig) -> dict[str, Any]:
    return {
        "bundle": detector.bundle.name,
        "precision": detector.precision,
        "protocol": config.protocol,
        "mode": config.mode,
        "agents": 1 if config.ego_only else config.agents,
        "communication_range": COMMUNICATION_RANGE,
        "loss": config.link.loss,
        "latency_ms": 1e3 * FRAME_PERIOD * config.link.delay,
        "pose_noise": config.link.pose_noise,
    }


def _spread(total: int, count: int) -> Sequence[int]:
    """Return frame numbers, evenly spread."""
    if count == 0 or count >= total:
        return range(total)
    return [int(number) for number in np.linspace(0, total - 1, count).round()]


def _moved(
    pose: npt.NDArray[np.float64], noise: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return a pose displaced by x, y metres in the map and turned by degrees."""
    angle = np.radians(noise[2])
    moved = pose.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved[:2, :3] = turn @ pose[:2, :3]
    moved[:2, 3] += noise[:2]
    return moved
