# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares two detectors of the same frames: boxes one by one, and average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.matching import match_frame
from quantv2x_ros.core.geometry.boxes import bev_iou
from quantv2x_ros.evaluation.evaluation import evaluate
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.protocol import Detector
from quantv2x_ros.inference.results import AgentPyramid, FusionResult

#: BEV IoU from which two detectors' boxes of one class are the same box.
SAME_BOX = 0.7


class RecordingDetector:
    """Passes a detector's work through and keeps the detections of every frame.

    Args:
        detector: does the work.
    """

    def __init__(self, detector: Detector) -> None:
        self.bundle = detector.bundle
        self.precision = detector.precision
        self.sends_features = detector.sends_features
        self.broadcast = detector.broadcast
        self.decode = detector.decode
        self.columns = detector.columns
        self.pyramid = detector.pyramid
        self.own_pyramid = detector.own_pyramid
        self._detector = detector
        self.frames: list[Detections] = []

    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """Fuse, and keep the result; see `Detector`."""
        fused = self._detector.fuse(pyramids, ego_to_agent)
        self.frames.append(fused.detections)
        return fused


@dataclass
class BoxDifference:
    """How the boxes of two detectors differ, over any number of frames.

    Attributes:
        boxes: number of the first detector's and the second's.
        same: boxes of both, of one class, that overlap at SAME_BOX or more.
        centres: distances of their centres, metres.
        scores: differences of their scores.
    """

    boxes: list[int] = field(default_factory=lambda: [0, 0])
    same: int = 0
    centres: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, first: Detections, second: Detections) -> None:
        """Take one frame."""
        self.boxes[0] += len(first)
        self.boxes[1] += len(second)
        overlap = bev_iou(first.boxes, second.boxes)
        overlap = np.where(first.labels[:, None] == second.labels[None, :], overlap, -1.0)
        matches = match_frame(overlap, first.scores, SAME_BOX)
        hit = matches >= 0
        other = matches[hit]
        self.same += int(hit.sum())
        moved = first.boxes[hit, :3] - second.boxes[other, :3]
        self.centres += np.linalg.norm(moved, axis=1).tolist()
        self.scores += np.abs(first.scores[hit] - second.scores[other]).tolist()

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers; share is of the larger number of boxes."""
        return {
            "boxes": list(self.boxes),
            "same_share": self.same / max(1, *self.boxes),
            "centre_median_m": float(np.median(self.centres)) if self.centres else None,
            "centre_p95_m": float(np.quantile(self.centres, 0.95)) if self.centres else None,
            "score_median": float(np.median(self.scores)) if self.scores else None,
        }


def measure(
    detector: Detector,
    data: Path,
    config: EvaluationConfig,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[dict[str, Any], list[Detections]]:
    """Evaluate a detector; returns what `evaluate` does, and the detections of every frame."""
    recording = RecordingDetector(detector)
    result = evaluate(recording, data, config, progress)
    return result, recording.frames


def compare(first: Sequence[Detections], second: Sequence[Detections]) -> dict[str, Any]:
    """Compare the detections of the same frames; see BoxDifference."""
    difference = BoxDifference()
    for one, two in zip(first, second, strict=True):
        difference.add(one, two)
    return difference.as_dict()
