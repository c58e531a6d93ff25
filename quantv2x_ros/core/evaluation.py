# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good detections are: average precision over a dataset, recall and precision of a frame.

Both follow the evaluation of V2X-Real (arXiv 2403.16034, section 5): boxes are compared seen from
above, class by class, and only those with their centre in x ±100 m, y ±40 m of the ego count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.boxes import bev_iou, check_boxes
from quantv2x_ros.core.detection import Detections

PROTOCOLS = ("global", "v2xreal")

BoolArray = npt.NDArray[np.bool_]


class EvaluationError(ValueError):
    """Settings or truth that cannot be evaluated."""


@dataclass(frozen=True)
class FrameScore:
    """Recall and precision of one frame.

    Attributes:
        found: Truth boxes that a detection matches.
        missed: Truth boxes that none matches.
        false: Detections that match no truth box.
    """

    found: int
    missed: int
    false: int

    @property
    def recall(self) -> float:
        """Share of the truth that was found; NaN without truth."""
        return _ratio(self.found, self.found + self.missed)

    @property
    def precision(self) -> float:
        """Share of the detections that are true; NaN without detections."""
        return _ratio(self.found, self.found + self.false)


def match_frame(
    iou: npt.NDArray[np.float64], scores: npt.NDArray[np.floating], threshold: float
) -> npt.NDArray[np.int64]:
    """Match detections to truth greedily, the best score first.

    Each detection takes the truth box that it overlaps most among those still free, if that
    overlap reaches the threshold.

    Args:
        iou: (N, M) overlaps of N detections with M truth boxes.
        scores: (N,) scores; equal scores keep their order.
        threshold: Smallest overlap of a match.

    Returns:
        (N,) index of the matched truth box, -1 where there is none.
    """
    matches = np.full(len(scores), -1, dtype=np.int64)
    if iou.shape[1] == 0:
        return matches
    free = iou.copy()
    for detection in np.argsort(-scores, kind="stable"):
        best = int(free[detection].argmax())
        if free[detection, best] >= threshold:
            matches[detection] = best
            free[:, best] = -1.0
    return matches


def recall_precision(
    detections: Detections,
    truth_boxes: npt.NDArray[np.floating],
    truth_labels: npt.NDArray[np.integer] | None,
    *,
    iou: float,
    optional: BoolArray | None = None,
) -> FrameScore:
    """Count what was found, missed and made up in one frame.

    Args:
        detections: Boxes found.
        truth_boxes: (M, 7) boxes in the same frame.
        truth_labels: (M,) classes; `None` matches boxes whatever their class.
        iou: Smallest BEV overlap of a match.
        optional: (M,) true for truth that need not be found (hardly a point on it, say): neither
            is it missed, nor is a detection of it false.
    """
    check_boxes(truth_boxes, "truth_boxes")
    overlap = bev_iou(detections.boxes, truth_boxes)
    if truth_labels is not None:
        overlap = np.where(detections.labels[:, None] == truth_labels[None, :], overlap, -1.0)
    matches = match_frame(overlap, detections.scores, iou)
    required = np.ones(len(truth_boxes), dtype=bool) if optional is None else ~optional
    hit = np.zeros(len(truth_boxes), dtype=bool)
    hit[matches[matches >= 0]] = True
    found = int((hit & required).sum())
    return FrameScore(found, int(required.sum()) - found, int((matches < 0).sum()))


@dataclass
class AveragePrecision:
    """Average precision per class and overlap threshold, frame by frame.

    The area under the precision-recall curve uses all points, with precision made monotonic
    (PASCAL VOC 2010 and later).

    Attributes:
        classes: Names of the classes; label 1 is the first.
        ious: BEV overlap thresholds.
        protocol: `global` ranks the detections of all frames together. `v2xreal` ranks them within
            a frame only and strings the frames together, as the published evaluation does.
        range_x: Boxes with their centre beyond x ± this do not count, metres.
        range_y: The same in y.
    """

    classes: Sequence[str]
    ious: Sequence[float] = (0.3, 0.5, 0.7)
    protocol: str = "global"
    range_x: float = 100.0
    range_y: float = 40.0
    frames: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Raise EvaluationError for settings that make no sense."""
        if self.protocol not in PROTOCOLS:
            raise EvaluationError(
                f"protocol must be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}"
            )
        if not self.classes or not self.ious or not all(0.0 < iou <= 1.0 for iou in self.ious):
            raise EvaluationError(
                f"at least one class and overlaps in (0, 1] are needed, got {list(self.classes)}"
                f" and {list(self.ious)}"
            )
        self._scores: list[list[npt.NDArray[np.float64]]] = [[] for _ in self.classes]
        self._hits: list[list[BoolArray]] = [[] for _ in self.classes]
        self._truth = [0] * len(self.classes)

    def add(
        self,
        detections: Detections,
        truth_boxes: npt.NDArray[np.floating],
        truth_labels: npt.NDArray[np.integer],
    ) -> None:
        """Add one frame.

        Args:
            detections: What was found, ego LiDAR frame.
            truth_boxes: (M, 7) in the same frame.
            truth_labels: (M,) 1-based classes.

        Raises:
            EvaluationError: For labels that are no class, or as many labels as no boxes.
        """
        check_boxes(truth_boxes, "truth_boxes")
        if truth_labels.shape != (len(truth_boxes),):
            raise EvaluationError(
                f"{len(truth_boxes)} truth boxes need as many labels, got {truth_labels.shape}"
            )
        for labels in (truth_labels, detections.labels):
            if labels.size and (labels.min() < 1 or labels.max() > len(self.classes)):
                raise EvaluationError(
                    f"labels must be 1 to {len(self.classes)}, got {labels.min()} to {labels.max()}"
                )
        found = detections.select(self._in_range(detections.boxes))
        kept = self._in_range(truth_boxes)
        boxes, labels = truth_boxes[kept], truth_labels[kept]
        for index in range(len(self.classes)):
            ours = found.select(found.labels == index + 1)
            theirs = boxes[labels == index + 1]
            overlap = bev_iou(ours.boxes, theirs)
            hits = [match_frame(overlap, ours.scores, iou) >= 0 for iou in self.ious]
            order = np.argsort(-ours.scores, kind="stable")
            self._scores[index].append(ours.scores[order].astype(np.float64))
            self._hits[index].append(np.stack(hits)[:, order])
            self._truth[index] += len(theirs)
        self.frames += 1

    def compute(self) -> dict[str, dict[str, dict[str, float]] | dict[str, float]]:
        """Return the result over all frames so far.

        Returns:
            `{"AP": {class: {"0.3": …}}, "mAP": {"0.3": …}, "objects": {class: n}}`. A class
            without truth has the AP NaN and does not enter the mean.
        """
        table: dict[str, dict[str, float]] = {}
        for index, name in enumerate(self.classes):
            hits = self._ranked_hits(index)
            table[name] = {
                f"{iou:g}": area_under_curve(hits[row], self._truth[index])
                for row, iou in enumerate(self.ious)
            }
        mean = {}
        for iou in (f"{iou:g}" for iou in self.ious):
            values = [row[iou] for row in table.values() if not np.isnan(row[iou])]
            mean[iou] = float(np.mean(values)) if values else float("nan")
        objects = {name: float(n) for name, n in zip(self.classes, self._truth, strict=True)}
        return {"AP": table, "mAP": mean, "objects": objects}

    def _ranked_hits(self, index: int) -> BoolArray:
        """Hits (thresholds, N) of a class in the protocol's order."""
        if not self._hits[index]:
            return np.zeros((len(self.ious), 0), dtype=bool)
        hits = np.concatenate(self._hits[index], axis=1)
        if self.protocol == "global":
            scores = np.concatenate(self._scores[index])
            return hits[:, np.argsort(-scores, kind="stable")]
        return hits

    def _in_range(self, boxes: npt.NDArray[np.floating]) -> BoolArray:
        x, y = np.abs(boxes[:, 0]), np.abs(boxes[:, 1])
        inside: BoolArray = (x <= self.range_x) & (y <= self.range_y)
        return inside


def area_under_curve(hits: BoolArray, truth_count: int) -> float:
    """Average precision of ranked detections.

    Args:
        hits: (N,) whether each detection is true, best first.
        truth_count: Number of truth boxes.

    Returns:
        Area under the monotonic precision-recall curve, NaN without truth.
    """
    if truth_count == 0:
        return float("nan")
    true = np.cumsum(hits)
    precision = true / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / truth_count)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
