# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How good detections are over a dataset: average precision.

It follows the evaluation of V2X-Real (arXiv 2403.16034, section 5): boxes are compared seen from
above, class by class, and only those with their centre in x ±100 m, y ±40 m of the ego count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.intervals import draw_scenes, weighted_precision
from quantv2x_ros.core.detection.matching import BoolArray, ClassMatches, match_classes
from quantv2x_ros.core.geometry.boxes import check_boxes, points_in_boxes

PROTOCOLS = ("global", "v2xreal")


class EvaluationError(ValueError):
    """Settings or truth that cannot be evaluated."""


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Detections of one class in one frame, best first.

    Attributes:
        scores: (N,).
        hits: (thresholds, N) whether they are true.
        counted: (thresholds, N) whether they count at all.
        truth: Number of truth boxes.
        scene: Number of the scene.
    """

    scores: npt.NDArray[np.float64]
    hits: BoolArray
    counted: BoolArray
    truth: int
    scene: int


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
        self._ranked: list[list[_Ranked]] = [[] for _ in self.classes]
        self._scene = 0

    def match(
        self,
        detections: Detections,
        truth_boxes: npt.NDArray[np.floating],
        truth_labels: npt.NDArray[np.integer],
    ) -> list[ClassMatches]:
        """Match one frame by this metric's classes, overlaps and range, without adding it.

        Arguments and errors as for `add`.
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
        return match_classes(
            detections,
            truth_boxes,
            truth_labels,
            classes=len(self.classes),
            ious=self.ious,
            range_x=self.range_x,
            range_y=self.range_y,
        )

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
        self.add_matches(self.match(detections, truth_boxes, truth_labels))

    def add_matches(
        self,
        matches: Sequence[ClassMatches],
        truth: BoolArray | None = None,
        detections: BoolArray | None = None,
    ) -> None:
        """Add one frame that was matched before, or a part of it.

        A detection of an object outside the part neither helps nor harms.

        Args:
            matches: What `match` returned.
            truth: (M,) the objects of the frame that belong to the part; `None` for all.
            detections: (N,) the detections of the frame that count as false in this part if they
                match nothing; `None` for all.
        """
        for index, found in enumerate(matches):
            hits = found.matches >= 0
            counted = np.ones_like(hits)
            wanted = len(found.truth)
            if truth is not None:
                wanted = int(truth[found.truth].sum())
                ours = hits & truth[found.matches] if truth.size else np.zeros_like(hits)
                counted = ours | ~hits
                hits = ours
            if detections is not None:
                counted &= hits | detections[found.detections]
            frame = _Ranked(found.scores, hits, counted, wanted, self._scene)
            self._ranked[index].append(frame)
        self.frames += 1

    def start_scene(self) -> None:
        """Begin another scene: frames since the last call are of one."""
        self._scene += 1

    def _truth(self, index: int) -> int:
        return sum(frame.truth for frame in self._ranked[index])

    def compute(self) -> dict[str, Any]:
        """Return the result over all frames so far.

        Returns:
            `{"AP": {class: {"0.3": …}}, "mAP": {"0.3": …}, "objects": {class: n}}`. A class
            without truth has the AP NaN and does not enter the mean.
        """
        table: dict[str, dict[str, float]] = {}
        for index, name in enumerate(self.classes):
            table[name] = {
                f"{iou:g}": area_under_curve(self._ranked_hits(index, row), self._truth(index))
                for row, iou in enumerate(self.ious)
            }
        mean = {}
        for iou in (f"{iou:g}" for iou in self.ious):
            values = [row[iou] for row in table.values() if not np.isnan(row[iou])]
            mean[iou] = float(np.mean(values)) if values else float("nan")
        objects = {name: float(self._truth(index)) for index, name in enumerate(self.classes)}
        return {"AP": table, "mAP": mean, "objects": objects}

    def curves(self, points: int = 101) -> dict[str, dict[str, dict[str, list[float]]]]:
        """Return monotonic precision over recall: class, overlap, then `recall`, `precision`.

        Args:
            points: Recalls from 0 to 1 at which precision is given; 0 beyond what was reached.
        """
        recall = np.linspace(0.0, 1.0, points)
        return {
            name: {
                f"{iou:g}": {
                    "recall": recall.tolist(),
                    "precision": precision_at(
                        recall, self._ranked_hits(index, row), self._truth(index)
                    ).tolist(),
                }
                for row, iou in enumerate(self.ious)
            }
            for index, name in enumerate(self.classes)
        }

    def rated(self, name: str, iou: float) -> tuple[npt.NDArray[np.float64], BoolArray, int]:
        """Return the detections of a class, frame after frame.

        Args:
            name: The class.
            iou: One of the overlap thresholds.

        Returns:
            Scores (N,), whether each is true (N,), and the number of truth boxes.
        """
        index = list(self.classes).index(name)
        scores, hits = self._rated(index, list(self.ious).index(iou))
        return scores, hits, self._truth(index)

    def drawn(self) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
        """Return the average precision in sets of scenes that are drawn from those so far.

        Metrics of the same scenes draw the same sets.

        Returns:
            Class, then overlap, then (draws,); and so of the `mean` of all classes.
        """
        numbers = sorted({frame.scene for frames in self._ranked for frame in frames})
        weights = draw_scenes(max(len(numbers), 1))
        table: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
        for index, name in enumerate(self.classes):
            frames = self._ranked[index]
            scenes = np.array([numbers.index(frame.scene) for frame in frames], np.int64)
            truth = np.zeros(weights.shape[1])
            np.add.at(truth, scenes, [frame.truth for frame in frames])
            if not truth.any():
                continue
            table[name] = {}
            for row, iou in enumerate(self.ious):
                lengths = [int(frame.counted[row].sum()) for frame in frames]
                order = self._order(index, row)
                table[name][f"{iou:g}"] = weighted_precision(
                    self._rated(index, row)[1][order],
                    np.repeat(scenes, lengths)[order],
                    truth,
                    weights,
                )
        if table:
            table["mean"] = {
                iou: np.nanmean([row[iou] for row in table.values()], axis=0)
                for iou in (f"{iou:g}" for iou in self.ious)
            }
        return table

    def _order(self, index: int, row: int) -> npt.NDArray[np.intp]:
        """Places (N,) of a class's detections in the protocol's order."""
        scores, _ = self._rated(index, row)
        by_score = self.protocol == "global"
        return np.argsort(-scores, kind="stable") if by_score else np.arange(len(scores))

    def _rated(self, index: int, row: int) -> tuple[npt.NDArray[np.float64], BoolArray]:
        frames = self._ranked[index]
        if not frames:
            return np.zeros(0), np.zeros(0, dtype=bool)
        scores = [frame.scores[frame.counted[row]] for frame in frames]
        hits = [frame.hits[row][frame.counted[row]] for frame in frames]
        return np.concatenate(scores), np.concatenate(hits)

    def _ranked_hits(self, index: int, row: int) -> BoolArray:
        """Hits (N,) of a class at a threshold, in the protocol's order."""
        return self._rated(index, row)[1][self._order(index, row)]


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
    return float(_envelope(hits)[hits].sum() / truth_count)


def precision_at(
    recall: npt.NDArray[np.float64], hits: BoolArray, truth_count: int
) -> npt.NDArray[np.float64]:
    """Best precision at each recall or beyond; 0 where no threshold on scores reaches it."""
    if truth_count == 0 or not hits.size:
        return np.zeros(len(recall))
    reached = np.cumsum(hits) / truth_count
    place = np.searchsorted(reached, recall - 1e-12)
    envelope = np.append(_envelope(hits), 0.0)
    return envelope[place]


def _envelope(hits: BoolArray) -> npt.NDArray[np.float64]:
    """Precision of ranked detections, made monotonic."""
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope: npt.NDArray[np.float64] = np.maximum.accumulate(precision[::-1])[::-1]
    return envelope


RANGE_EDGES = (0.0, 30.0, 50.0, 100.0)
"""Horizontal distances from the ego's sensor between which the bands lie, metres."""

RANGE_BANDS = tuple(f"{low:g}-{high:g} m" for low, high in pairwise(RANGE_EDGES))

CLEAR_POINTS = 10
"""Points of the ego's own cloud in a box from which it counts as clearly seen."""

SIGHTS = ("clear", "sparse", "hidden from the ego", "seen by nobody")
"""At least CLEAR_POINTS of the ego's points; fewer; only peers' points; no point at all."""

Boxes = npt.NDArray[np.floating]
Groups = npt.NDArray[np.int64]


def range_groups(boxes: Boxes) -> Groups:
    """Return the index into RANGE_BANDS of each box (N, 7); beyond the last, their number."""
    return np.digitize(np.hypot(boxes[:, 0], boxes[:, 1]), RANGE_EDGES[1:]).astype(np.int64)


def sight_groups(boxes: Boxes, clouds: Sequence[npt.NDArray[np.floating]]) -> Groups:
    """Return the index into SIGHTS of each box.

    Args:
        boxes: (N, 7) in the ego's frame.
        clouds: Points (P, 3 or more) of each agent, the ego's first, all in the ego's frame.
    """
    own = points_in_boxes(clouds[0], boxes)
    others = np.zeros(len(boxes), np.int64)
    unseen = np.flatnonzero(own == 0)
    for cloud in clouds[1:]:
        others[unseen] += points_in_boxes(cloud, boxes[unseen])
    hidden = np.where(others > 0, 2, 3)
    return np.where(own >= CLEAR_POINTS, 0, np.where(own > 0, 1, hidden)).astype(np.int64)


class Breakdown:
    """Average precision of each of several parts.

    Args:
        names: Of the parts.
        metric: Makes an empty metric.
    """

    def __init__(self, names: Sequence[str], metric: Callable[[], AveragePrecision]) -> None:
        self.parts = {name: metric() for name in names}

    def add(self, matches: Sequence[ClassMatches], truth: Groups, detections: Groups) -> None:
        """Add one frame.

        Args:
            matches: What `AveragePrecision.match` returned.
            truth: (M,) index of the part of each object.
            detections: (N,) index of the part of each detection.
        """
        for index, part in enumerate(self.parts.values()):
            part.add_matches(matches, truth == index, detections == index)

    def compute(self) -> dict[str, dict[str, Any]]:
        """Return each part's result, see `AveragePrecision.compute`."""
        return {name: part.compute() for name, part in self.parts.items()}
