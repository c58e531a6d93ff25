# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which detection is of which labelled object: greedy matching by overlap seen from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import bev_iou, centres_in_range, check_boxes

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


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


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """Detections of one class in one frame, in descending score, and what they match.

    Attributes:
        scores: (N,) float64.
        detections: (N,) index of each into the frame's detections.
        truth: (M,) index of each labelled object of the class into the frame's truth.
        matches: (thresholds, N) index into the frame's truth, -1 where there is none.
    """

    scores: npt.NDArray[np.float64]
    detections: IntArray
    truth: IntArray
    matches: IntArray


def match_classes(
    detections: Detections,
    truth_boxes: npt.NDArray[np.floating],
    truth_labels: npt.NDArray[np.integer],
    *,
    classes: int,
    ious: Sequence[float],
    range_x: float = np.inf,
    range_y: float = np.inf,
) -> list[ClassMatches]:
    """Match the detections of a frame to its truth, class by class.

    Args:
        detections: What was found.
        truth_boxes: (M, 7) in the same frame.
        truth_labels: (M,) 1-based classes.
        classes: Number of classes.
        ious: Smallest overlaps of a match.
        range_x: Boxes with their centre beyond x ± this do not count, metres.
        range_y: The same in y.

    Returns:
        One entry a class.
    """
    found = centres_in_range(detections.boxes, range_x, range_y)
    wanted = centres_in_range(truth_boxes, range_x, range_y)
    result = []
    for label in range(1, classes + 1):
        ours = np.flatnonzero(found & (detections.labels == label))
        ours = ours[np.argsort(-detections.scores[ours], kind="stable")]
        theirs = np.flatnonzero(wanted & (truth_labels == label))
        overlap = bev_iou(detections.boxes[ours], truth_boxes[theirs])
        scores = detections.scores[ours]
        rows = [_name(match_frame(overlap, scores, iou), theirs) for iou in ious]
        result.append(ClassMatches(scores.astype(np.float64), ours, theirs, np.stack(rows)))
    return result


def _name(matches: IntArray, truth: IntArray) -> IntArray:
    """Replace indices into a class's truth by indices into the frame's; -1 stays."""
    if truth.size == 0:
        return matches
    return np.where(matches >= 0, truth[matches], -1)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
