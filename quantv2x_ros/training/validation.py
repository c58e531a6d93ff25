# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision while training: of whole frames, as on the vehicle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from quantv2x_ros.core.anchors import AnchorSet
from quantv2x_ros.core.detection import DetectionConfig, Detections, detect
from quantv2x_ros.core.evaluation import AveragePrecision
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.training.config import TrainingConfigError
from quantv2x_ros.training.losses import TargetBatch
from quantv2x_ros.training.network import HeadOutputs

#: Low, so that the whole precision-recall curve counts.
DETECTION = DetectionConfig(score_threshold=0.05, class_aware=True)


class ValidationMetric:
    """Collects detections and truth of one pass over the validation frames.

    Args:
        anchors: the anchors.
        grid: the grid of the frames.
    """

    def __init__(self, anchors: AnchorSet, grid: BevGrid) -> None:
        self._names = anchors.names
        self._anchors = anchors.grid_anchors(grid)
        self._frames: list[tuple[Detections, Any, Any]] = []

    def reset(self) -> None:
        """Start a new pass."""
        self._frames.clear()

    def add(self, outputs: HeadOutputs, targets: TargetBatch) -> None:
        """Add a batch of frames: outputs of the heads, and the targets that hold the truth."""
        for index in range(len(outputs.cls)):
            maps = [
                np.ascontiguousarray(item[index].permute(1, 2, 0).float().cpu().numpy())
                for item in outputs
            ]
            found = detect(maps[0], maps[1], maps[2], self._anchors, DETECTION)
            self._frames.append((found, *self._truth(targets, index)))

    def _truth(self, targets: TargetBatch, index: int) -> tuple[Any, Any]:
        """Return one frame's boxes and labels."""
        first = sum(targets.box_counts[:index])
        part = slice(first, first + targets.box_counts[index])
        return targets.boxes[part].cpu().numpy(), targets.box_labels[part].cpu().numpy()

    def compute(self, strategy: Any) -> dict[str, float]:
        """Return average precision by name, of the frames of all processes.

        Raises:
            TrainingConfigError: if no frame holds an object.
        """
        gathered = [self._frames]
        if strategy.world_size > 1:
            gathered = [[] for _ in range(strategy.world_size)]
            torch.distributed.all_gather_object(gathered, self._frames)
        metric = AveragePrecision(self._names)
        for frames in gathered:
            for detections, boxes, labels in frames:
                metric.add(detections, boxes, labels)
        result: dict[str, Any] = dict(metric.compute())
        if not np.isfinite(result["mAP"]["0.5"]):
            raise TrainingConfigError("the validation frames hold no object: choose other frames")
        values = {f"validate/mAP_{iou}": value for iou, value in result["mAP"].items()}
        for name, by_iou in result["AP"].items():
            values |= {f"validate/{name}_{iou}": value for iou, value in by_iou.items()}
        return {name: value for name, value in values.items() if np.isfinite(value)}
