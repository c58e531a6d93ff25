# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Head outputs to detections: score filter, box decoding, rotated suppression, range filter."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core import rotated
from quantv2x_ros.core.boxes import (
    BOX_SIZE,
    FloatArray,
    bev_rectangles,
    centres_in_range,
    check_boxes,
    corners_in_range,
    correct_heading,
    decode_boxes,
)
from quantv2x_ros.core.carrier import covers_sensor
from quantv2x_ros.core.detection_config import PROTOCOL_SCORE as PROTOCOL_SCORE
from quantv2x_ros.core.detection_config import DetectionConfig as DetectionConfig
from quantv2x_ros.core.detection_config import DetectionError as DetectionError
from quantv2x_ros.core.detection_kernels import collect_candidates
from quantv2x_ros.core.voting import vote

Float32Array = npt.NDArray[np.float32]

_DIRECTIONS = 2
# Sigmoid in float32 is off by less than this, so the cheap test on logits never loses a candidate.
_LOGIT_SLACK = 1e-4


@dataclass(frozen=True)
class Detections:
    """Boxes of one frame.

    Attributes:
        boxes: (N, 7) float32 [x, y, z, l, w, h, yaw], ego LiDAR frame, metres and radians.
        scores: (N,) float32 in [0, 1].
        labels: (N,) int32, 1-based class index.
    """

    boxes: Float32Array
    scores: Float32Array
    labels: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        check_boxes(self.boxes)
        count = len(self.boxes)
        if self.scores.shape != (count,) or self.labels.shape != (count,):
            raise DetectionError(
                f"{count} boxes need as many scores and labels, "
                f"got shapes {self.scores.shape} and {self.labels.shape}"
            )
        if (self.labels < 1).any():
            raise DetectionError("labels count from 1, got 0 or less")

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls) -> "Detections":
        """No boxes."""
        return cls(
            np.zeros((0, BOX_SIZE), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
        )

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> "Detections":
        """The boxes that a mask or indices pick, in that order."""
        return Detections(self.boxes[which], self.scores[which], self.labels[which])


def nms(
    boxes: FloatArray,
    scores: npt.NDArray[np.floating],
    threshold: float,
    labels: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.int64]:
    """Greedy rotated non-maximum suppression in the ground plane.

    Args:
        boxes: (N, 7) [x, y, z, l, w, h, yaw] or (N, 5) [x, y, l, w, yaw]; N may be 0.
        scores: (N,); equal scores keep the order of the boxes.
        threshold: a box is dropped where its BEV IoU with a kept, better one is above this.
        labels: (N,) integers; where given, boxes suppress only boxes of their own label.

    Returns:
        Indices of the kept boxes, int64, in descending score.

    Raises:
        ValueError: shapes do not fit, or a value is not finite.
    """
    rectangles = bev_rectangles(boxes)
    if scores.shape != (len(boxes),) or (labels is not None and labels.shape != (len(boxes),)):
        raise DetectionError(
            f"{len(boxes)} boxes need as many scores and labels, got {scores.shape} scores and "
            f"{None if labels is None else labels.shape} labels"
        )
    if not np.isfinite(scores).all():
        raise DetectionError("scores has a value that is not finite: drop such boxes first")
    order = np.argsort(-scores, kind="stable")
    groups = np.zeros(len(boxes), np.int64) if labels is None else labels.astype(np.int64)
    kept = rotated.suppress(rectangles[order], groups[order], float(threshold))
    indices: npt.NDArray[np.int64] = order[kept].astype(np.int64)
    return indices


def _check_heads(
    cls: Float32Array, reg: Float32Array, direction: Float32Array, anchors: FloatArray
) -> int:
    """Number of anchors a cell; DetectionError where the outputs do not fit each other."""
    check_boxes(anchors, "anchors")
    for name, output in (("cls", cls), ("reg", reg), ("direction", direction)):
        if output.ndim != 3 or output.shape[:2] != cls.shape[:2] or output.dtype != np.float32:
            raise DetectionError(
                f"{name} must be float32 of shape (H, W, channels) on the grid of cls "
                f"{cls.shape[:2]}, got {output.dtype} of shape {output.shape}"
            )
    cells = cls.shape[0] * cls.shape[1]
    per_cell = max(reg.shape[2] // BOX_SIZE, 1)
    fits = reg.shape[2] == per_cell * BOX_SIZE and direction.shape[2] == per_cell * _DIRECTIONS
    labels, rest = divmod(cls.shape[2], per_cell)
    if not fits or labels == 0 or rest or len(anchors) != cells * per_cell:
        raise DetectionError(
            f"cls, reg and direction have {cls.shape[2]}, {reg.shape[2]} and {direction.shape[2]} "
            f"channels on {cells} cells for {len(anchors)} anchors; expected A x labels, A x 7 and "
            "A x 2 channels for A anchors a cell"
        )
    return per_cell


def _logit(score: float) -> float:
    return math.log(score / (1.0 - score)) if score > 0.0 else -math.inf


def find_candidates(
    cls: Float32Array,
    reg: Float32Array,
    direction: Float32Array,
    anchors: FloatArray,
    config: DetectionConfig,
) -> Detections:
    """Boxes above their class's threshold before suppression, in flat order (row, column, anchor).

    The best ``config.max_candidates`` at most. Boxes that are not finite (a size overflows) are no
    candidates: they could not lie in any range. Arguments as for detect().
    """
    per_cell = _check_heads(cls, reg, direction, anchors)
    logits = np.ascontiguousarray(cls).reshape(-1, cls.shape[2] // per_cell)
    thresholds = config.thresholds(logits.shape[1])
    floors = np.array([_logit(float(t)) - _LOGIT_SLACK for t in thresholds])
    indices, scores, labels = collect_candidates(logits, floors, thresholds)
    limit = config.max_candidates
    if len(scores) > limit:
        lowest = np.partition(scores, -limit)[-limit]
        best = scores > lowest
        best[np.flatnonzero(scores == lowest)[: limit - np.count_nonzero(best)]] = True
        indices, scores, labels = indices[best], scores[best], labels[best]
    deltas = np.ascontiguousarray(reg).reshape(-1, BOX_SIZE)[indices]
    boxes = decode_boxes(deltas, anchors[indices].astype(np.float32))
    if config.use_direction:
        bins = np.ascontiguousarray(direction).reshape(-1, _DIRECTIONS)[indices].argmax(axis=1)
        boxes[:, 6] = correct_heading(boxes[:, 6], bins)
    return Detections(boxes, scores, labels).select(np.all(np.isfinite(boxes), axis=1))


def in_range(boxes: FloatArray, config: DetectionConfig) -> npt.NDArray[np.bool_]:
    """Whether boxes (N, 7) lie in the ranges, with all corners or with their centre, (N,) bool."""
    if config.whole_boxes:
        return corners_in_range(boxes, config.range_x, config.range_y)
    return centres_in_range(boxes, config.range_x, config.range_y)


def detect(
    cls: Float32Array,
    reg: Float32Array,
    direction: Float32Array,
    anchors: FloatArray,
    config: DetectionConfig,
) -> Detections:
    """Detections of one frame from the head outputs (NETWORK.md section 6).

    Args:
        cls: (H, W, A * labels) float32 logits; channel = anchor * labels + label.
        reg: (H, W, A * 7) float32, box deltas x, y, z, h, w, l, yaw.
        direction: (H, W, A * 2) float32 logits.
        anchors: (H * W * A, 7) boxes in flat order: row, column, anchor.
        config: thresholds and options.

    Returns:
        Detections in descending score; none is a valid answer.

    Raises:
        DetectionError: shapes or dtypes do not fit each other.
    """
    candidates = find_candidates(cls, reg, direction, anchors, config)
    rivals = config.rivals(candidates.labels)
    best = nms(candidates.boxes, candidates.scores, config.nms_threshold, rivals)
    kept = candidates.select(best)
    if config.vote_threshold:
        boxes = vote(
            best, candidates.boxes, candidates.scores, candidates.labels, config.vote_threshold
        )
        kept = Detections(boxes, kept.scores, kept.labels)
    inside = in_range(kept.boxes, config)
    return kept.select(inside & ~covers_sensor(kept.boxes) if config.drop_ego else inside)
