# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection from clouds of several agents, by the engines of a bundle or another detector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import (
    Broadcast,
    Cells,
    Cloud,
    Detector,
    IndexArray,
    pyramid_of,
)
from quantv2x_ros.inference.results import AgentPyramid, FeatureArray, FusionResult


class EngineDetector:
    """Runs the engines of a bundle, as the nodes do."""

    sends_features = False

    def __init__(self, bundle: ModelBundle, backend: str = "auto", threads: int = 0) -> None:
        """Compile the engines.

        Args:
            bundle: Model bundle.
            backend: `auto`, `openvino` or `tensorrt`.
            threads: Number of threads of a CPU engine; 0: one for each core.
        """
        self.bundle = bundle
        self.precision = bundle.precision
        self._encoder = AgentEncoder(bundle, backend, threads or None, keep_own=True)
        self._detector = CooperativeDetector(bundle, backend, threads or None)
        self._entropy_model = bundle.entropy_model
        self._shape = (bundle.codebook.planes, *bundle.grid.shape)

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep into the bytes of its index map."""
        sweep = self._encoder.encode(points)
        payload = encode_indices(sweep.indices, self._entropy_model)
        return Broadcast(payload, dict(sweep.stage_ms), sweep.own)

    def decode(self, payload: bytes) -> IndexArray:
        """Read a message's index map."""
        return decode_indices(payload, self._entropy_model, self._shape)

    def columns(self, ego_to_agent: npt.NDArray[np.float64] | None) -> tuple[int, int] | None:
        """See `Detector`."""
        return self._detector.columns(ego_to_agent)

    def pyramid(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentPyramid:
        """Compute one agent's pyramid."""
        return self._detector.pyramid(indices, received, ego_to_agent)

    def own_pyramid(self, own: FeatureArray) -> AgentPyramid:
        """Compute the ego's pyramid from its own feature."""
        return self._detector.own_pyramid(own)

    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """Fuse the agents' pyramids."""
        return self._detector.fuse(pyramids, ego_to_agent)


def add_stages(times: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add the milliseconds of each stage to a sum."""
    total: dict[str, float] = {}
    for stages in times:
        for stage, milliseconds in stages.items():
            total[stage] = total.get(stage, 0.0) + milliseconds
    return total


def detect_once(
    detector: Detector, clouds: Mapping[str, Cloud], ego_to_agents: npt.NDArray[np.float64]
) -> tuple[Detections, dict[str, int], dict[str, float]]:
    """Detect objects in one frame.

    Args:
        detector: Detector to run.
        clouds: Agent → points of its sweep in its own LiDAR frame, the ego first.
        ego_to_agents: (N, 4, 4) transforms from the ego's frame to each agent's.

    Returns:
        Detections in the ego's frame, bytes that each agent sends, milliseconds of each stage.
    """
    sent = {agent: detector.broadcast(points) for agent, points in clouds.items()}
    pyramids = [
        pyramid_of(detector, detector.decode(item.payload), transform)
        if peer or item.own is None
        else detector.own_pyramid(item.own)
        for peer, (item, transform) in enumerate(zip(sent.values(), ego_to_agents, strict=True))
    ]
    fused = detector.fuse(pyramids, ego_to_agents)
    steps = [*(item.stage_ms for item in sent.values()), *(item.stage_ms for item in pyramids)]
    stages = add_stages([*steps, fused.stage_ms])
    return fused.detections, {agent: len(item.payload) for agent, item in sent.items()}, stages
