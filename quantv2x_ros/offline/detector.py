# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of several agents in, boxes out: the engines of a bundle, or its FP32 network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection import Detections
from quantv2x_ros.core.wire import decode_indices, encode_indices
from quantv2x_ros.inference.bundle import BundleError, ModelBundle
from quantv2x_ros.inference.pipeline import AgentEncoder, CooperativeDetector
from quantv2x_ros.inference.results import FeatureArray

Cloud = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.bool_]


#: The precision whose agents send features as they are.
UNCODED = "uncoded"


@dataclass(frozen=True, eq=False)
class Broadcast:
    """What one agent sends for one sweep.

    Attributes:
        payload: The bytes on the air.
        stage_ms: Time of each stage that made them, milliseconds.
        own: What stays with the agent, for its own pyramid; only the detector that made it can read
            it. `None` where that pyramid is made of the indices, too.
    """

    payload: bytes
    stage_ms: Mapping[str, float]
    own: Any = None


@dataclass(frozen=True, eq=False)
class Percept:
    """What the ego makes of one agent's indices before it fuses them.

    Attributes:
        content: Only the detector that made it can read it.
        stage_ms: Time of each stage that made it, milliseconds.
    """

    content: Any
    stage_ms: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Fused:
    """What the ego makes of its own sweep and its peers' messages.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        stage_ms: Time of each stage, milliseconds, without those of the percepts.
    """

    detections: Detections
    stage_ms: Mapping[str, float]


class Detector(Protocol):
    """The steps of cooperative detection.

    Attributes:
        bundle: Model that is used.
        precision: `int8`, `fp32`, or `fp32, uncoded`.
        plain_bytes: Of a message that is no coded index map; 0 where it is one.
    """

    bundle: ModelBundle
    precision: str
    plain_bytes: int

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode one agent's sweep (P, 4), in its own LiDAR frame."""

    def decode(self, payload: bytes) -> IndexArray:
        """Read a message's index map (planes, H, W)."""

    def perceive(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> Percept:
        """Compute one agent's part.

        Args:
            indices: (planes, H, W).
            received: (H, W) cells that arrived; `None` for all.
            ego_to_agent: (4, 4), so that what no box of the ego depends on may be left out; `None`
                computes all.
        """

    def perceive_own(self, own: Any) -> Percept:
        """Compute the ego's part from what `Broadcast.own` holds."""

    def fuse(self, percepts: Sequence[Percept], ego_to_agents: npt.NDArray[np.float64]) -> Fused:
        """Detect from the agents' percepts, the ego's first; (N, 4, 4) transforms."""


class EngineDetector:
    """Runs the engines of a bundle, as the nodes do."""

    plain_bytes = 0

    def __init__(self, bundle: ModelBundle, backend: str = "auto", threads: int = 0) -> None:
        """Compile the engines.

        Args:
            bundle: The model.
            backend: `auto`, `openvino` or `tensorrt`.
            threads: Threads of a CPU engine; 0: one a core.
        """
        self.bundle = bundle
        self.precision = bundle.precision
        self._encoder = AgentEncoder(bundle, backend, threads or None, keep_own=True)
        self._detector = CooperativeDetector(bundle, backend, threads or None)
        book = bundle.codebook
        self._prior = bundle.prior
        self._shape = (book.levels * book.segments, *bundle.grid.shape)

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep into the bytes of its index map."""
        sweep = self._encoder.encode(points)
        payload = encode_indices(sweep.indices, self._prior)
        return Broadcast(payload, dict(sweep.stage_ms), sweep.own)

    def decode(self, payload: bytes) -> IndexArray:
        """Read a message's index map."""
        return decode_indices(payload, self._prior, self._shape)

    def perceive(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> Percept:
        """Compute one agent's pyramid."""
        pyramid = self._detector.pyramid(indices, received, ego_to_agent)
        return Percept(pyramid, dict(pyramid.stage_ms))

    def perceive_own(self, own: FeatureArray) -> Percept:
        """Compute the ego's pyramid from its own feature."""
        pyramid = self._detector.own_pyramid(own)
        return Percept(pyramid, dict(pyramid.stage_ms))

    def fuse(self, percepts: Sequence[Percept], ego_to_agents: npt.NDArray[np.float64]) -> Fused:
        """Fuse the agents' pyramids."""
        result = self._detector.fuse([percept.content for percept in percepts], ego_to_agents)
        return Fused(result.detections, dict(result.stage_ms))


def open_detector(
    folder: Path,
    precision: str = "",
    backend: str = "auto",
    threads: int = 0,
    score_threshold: float | None = None,
) -> Detector:
    """Load a bundle and make what detects with it.

    Args:
        folder: The bundle.
        precision: `int8` or `fp32`; empty for that of its engines. `fp32` of an INT8 bundle is the
            torch network with the bundle's checkpoint; `uncoded` is that network on features that
            no codebook has touched.
        backend: Of the engines: `auto`, `openvino` or `tensorrt`.
        threads: Threads of a CPU engine; 0: one a core.
        score_threshold: Boxes from this score on are ranked, each class for itself, in the place of
            what the bundle gives; `None` keeps that.

    Raises:
        BundleError: If the bundle is damaged, or has not this precision.
        DetectionError: For a threshold out of range.
    """
    bundle = ModelBundle.load(folder)
    if score_threshold is not None:
        bundle = bundle.for_ranking(score_threshold)
    if precision in ("", bundle.precision):
        return EngineDetector(bundle, backend, threads)
    if precision == UNCODED:
        # needs torch, which a vehicle does not have
        from quantv2x_ros.training.uncoded import UncodedDetector

        return UncodedDetector(bundle, threads)
    if precision != "fp32":
        raise BundleError(
            f"bundle {folder}: precision {precision!r} was asked for, its engines are"
            f" {bundle.precision}; choose {bundle.precision}, fp32 or {UNCODED}"
        )
    # needs torch, which a vehicle does not have
    from quantv2x_ros.training.reference import NetworkDetector

    return NetworkDetector(bundle, threads)


def add_stages(times: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add milliseconds up, stage by stage."""
    total: dict[str, float] = {}
    for stages in times:
        for stage, milliseconds in stages.items():
            total[stage] = total.get(stage, 0.0) + milliseconds
    return total


def detect_once(
    detector: Detector, clouds: Mapping[str, Cloud], ego_to_agents: npt.NDArray[np.float64]
) -> tuple[Detections, dict[str, int], dict[str, float]]:
    """Run one frame through the detector.

    Args:
        detector: What detects.
        clouds: Sweeps by agent, the ego first, each in its own LiDAR frame.
        ego_to_agents: (N, 4, 4) from the ego's coordinates to each agent's.

    Returns:
        Detections in the ego's frame, bytes each agent sends, milliseconds of each stage.
    """
    sent = {agent: detector.broadcast(points) for agent, points in clouds.items()}
    percepts = [
        detector.perceive(detector.decode(item.payload), None, transform)
        if peer or item.own is None
        else detector.perceive_own(item.own)
        for peer, (item, transform) in enumerate(zip(sent.values(), ego_to_agents, strict=True))
    ]
    fused = detector.fuse(percepts, ego_to_agents)
    steps = [*(item.stage_ms for item in sent.values()), *(item.stage_ms for item in percepts)]
    stages = add_stages([*steps, fused.stage_ms])
    return fused.detections, {agent: len(item.payload) for agent, item in sent.items()}, stages
