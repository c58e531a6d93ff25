# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pipeline hands over between its steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.peer_boxes import ReportedBoxes

SCALES = 3
#: The codebook's maps: uint8 as in the bundle's precision, or float32.
FeatureArray = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
IndexMap = npt.NDArray[np.uint8]


class PipelineError(ValueError):
    """Indices, maps or transforms that do not fit the bundle."""


class StageTimer:
    """Milliseconds of consecutive stages."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        """Book the time since the last stop to a stage."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now


@dataclass(frozen=True)
class EncodedSweep:
    """One agent's sweep, ready to send.

    Attributes:
        indices: (planes, H, W) uint8.
        stage_ms: milliseconds of pillars, encoder and codebook.
        pillars: pillars in the sweep.
        points: points kept.
        own: (H, W, C) feature for the agent's own pyramid, raised, see `OwnFeature`; None where it
            was not asked for or the bundle has none.
    """

    indices: IndexMap
    stage_ms: dict[str, float]
    pillars: int
    points: int
    own: FeatureArray | None = None


@dataclass(frozen=True)
class AgentPyramid:
    """One agent's pyramid in its own frame.

    Attributes:
        features: (h, w, C) of each scale, uint8 (INT8 bundle) or float32.
        scores: (h, w) float32 of each scale; exactly 0 in cells that were not received, or not
            computed since no box of the ego depends on them.
        stage_ms: milliseconds it took.
    """

    features: tuple[FeatureArray, ...]
    scores: tuple[npt.NDArray[np.float32], ...]
    stage_ms: dict[str, float]


@dataclass(frozen=True)
class HeadMaps:
    """Raw outputs of the heads, of the whole window or of some of its cells.

    See docs/network.md, "Shrink and heads".

    Attributes:
        cls: (H, columns, anchors * labels) float32 logits; (n, 1, anchors * labels) of some cells.
        reg: the same with anchors * 7, box deltas.
        dir: the same with anchors * 2, logits.
        cells: (n,) flat numbers of those cells in the window, rising; None for all of it.
    """

    cls: npt.NDArray[np.float32]
    reg: npt.NDArray[np.float32]
    dir: npt.NDArray[np.float32]
    cells: npt.NDArray[np.int64] | None = None

    def copy(self) -> HeadMaps:
        """Return the same in memory of its own."""
        return HeadMaps(self.cls.copy(), self.reg.copy(), self.dir.copy(), self.cells)

    @classmethod
    def joined(cls, maps: Sequence[HeadMaps]) -> HeadMaps:
        """Return maps that lie side by side, from the first column to the last, as one."""
        return cls(
            np.concatenate([part.cls for part in maps], axis=1),
            np.concatenate([part.reg for part in maps], axis=1),
            np.concatenate([part.dir for part in maps], axis=1),
        )


@dataclass(frozen=True)
class FusionResult:
    """The ego's view of one moment.

    Attributes:
        detections: boxes in the ego's LiDAR frame, descending score.
        stage_ms: milliseconds of warp, head and detection.
        contributions: (boxes, agents) float32, the agents' shares of the fused feature at each
            box's centre; a row sums to 1, or is 0 where no agent reaches, and of boxes that a peer
            reported.
        reports: what peers reported.
        reporters: (boxes,) int64, the place in `reports` of who reported a box; -1 for one that the
            fused features gave. None: none was reported.
    """

    detections: Detections
    stage_ms: dict[str, float]
    contributions: npt.NDArray[np.float32]
    reports: tuple[ReportedBoxes, ...] = ()
    reporters: npt.NDArray[np.int64] | None = None
