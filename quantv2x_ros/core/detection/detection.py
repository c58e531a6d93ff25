# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Head outputs to detections: score filter, box decoding, rotated suppression, range filter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.geometry import rotated
from quantv2x_ros.core.geometry.boxes import (
    BOX_SIZE,
    FloatArray,
    bev_rectangles,
    centres_in_range,
    check_boxes,
    corners_in_range,
    correct_heading,
    decode_boxes,
)

#: Score above which detections are ranked in the published evaluation; what a vehicle acts on may
#: well be stricter.
PROTOCOL_SCORE = 0.2


#: By label: of vehicles, pedestrians, trucks.
RECOMMENDED_THRESHOLDS = (0.51, 0.4, 0.6)
#: Labels of vehicles and trucks, of which a box is one.
VEHICLE_OR_TRUCK = ((1, 3),)


class DetectionError(ValueError):
    """Head outputs, scores or settings that do not fit each other."""


@dataclass(frozen=True)
class DetectionConfig:
    """Settings of the post-processing (docs/network.md, "Post-processing").

    Attributes:
        score_threshold: candidates have a score above this, in [0, 1).
        class_thresholds: score threshold of each class, in order of labels; empty where
            `score_threshold` is for all.
        nms_threshold: a box is dropped where its BEV IoU with a better one is above this.
        max_candidates: only this many best candidates enter the suppression.
        class_aware: boxes suppress only boxes of their own class, and of those it competes with.
        competing: groups of labels whose boxes suppress each other, where suppression is class
            aware: an object is of one of them.
        use_direction: correct headings with the direction head.
        range_x: boxes must lie in x ± this [m]; infinity switches the test off.
        range_y: boxes must lie in y ± this [m]; infinity switches the test off.
        whole_boxes: with all corners, as published; else with their centre. An object whose centre
            is in range counts in the evaluation, and a box cut off for its bumper misses it.
        vote_threshold: a kept box becomes the mean of the suppressed ones whose BEV IoU with it is
            above this, see `vote`; 0 keeps boxes as they are, as published.
        drop_ego: drop boxes around the sensor itself: the body of the vehicle that carries it,
            which peers see. See `is_ego_vehicle`. Published post-processing keeps them.

    Raises:
        DetectionError: a value is out of range.
    """

    score_threshold: float = 0.2
    nms_threshold: float = 0.15
    max_candidates: int = 1000
    class_aware: bool = False
    use_direction: bool = True
    range_x: float = 100.0
    range_y: float = 40.0
    whole_boxes: bool = True
    drop_ego: bool = False
    vote_threshold: float = 0.0
    class_thresholds: tuple[float, ...] = ()
    competing: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        for threshold in (self.score_threshold, *self.class_thresholds):
            if not 0.0 <= threshold < 1.0:
                raise DetectionError(f"score_threshold must be in [0, 1), got {threshold}")
        members = [label for group in self.competing for label in group]
        if len(set(members)) < len(members) or any(label < 1 for label in members):
            raise DetectionError(
                f"competing must be groups of labels from 1 on, each in one group at most, got "
                f"{[list(group) for group in self.competing]}"
            )
        if not 0.0 <= self.nms_threshold <= 1.0:
            raise DetectionError(f"nms_threshold must be in [0, 1], got {self.nms_threshold}")
        if not 0.0 <= self.vote_threshold < 1.0:
            raise DetectionError(f"vote_threshold must be in [0, 1), got {self.vote_threshold}")
        if self.max_candidates < 1:
            raise DetectionError(f"max_candidates must be 1 or more, got {self.max_candidates}")
        if not (self.range_x > 0.0 and self.range_y > 0.0):
            raise DetectionError(f"ranges must be positive, got {self.range_x}, {self.range_y}")

    @property
    def lowest_threshold(self) -> float:
        """The lowest score threshold of all classes."""
        return min(self.class_thresholds, default=self.score_threshold)

    def with_threshold(self, threshold: float) -> DetectionConfig:
        """Return these settings with one score threshold for all classes.

        Raises:
            DetectionError: it is out of range.
        """
        return replace(self, score_threshold=threshold, class_thresholds=())

    def for_ranking(self, threshold: float) -> DetectionConfig:
        """Return these settings as average precision wants them: each class is ranked for itself.

        Of two rivals both are ranked: the less likely one may be the right one of its class.

        Raises:
            DetectionError: the threshold is out of range.
        """
        return replace(self.with_threshold(threshold), competing=())

    def thresholds(self, classes: int) -> npt.NDArray[np.float32]:
        """Return the score threshold of each class, (classes,) float32.

        Raises:
            DetectionError: there are thresholds for another number of classes.
        """
        if not self.class_thresholds:
            return np.full(classes, self.score_threshold, np.float32)
        if len(self.class_thresholds) != classes:
            raise DetectionError(
                f"class_thresholds has {len(self.class_thresholds)} entries for {classes} classes"
            )
        return np.array(self.class_thresholds, np.float32)

    def rivals(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer] | None:
        """Return the suppression group of each box, (N,): boxes of one group suppress each other.

        None where all do.

        Args:
            labels: (N,) of the boxes.
        """
        if not self.class_aware:
            return None
        groups = labels.copy()
        for first, *others in self.competing:
            groups[np.isin(labels, others)] = first
        return groups

    @classmethod
    def published(cls) -> DetectionConfig:
        """Return the published post-processing: class-agnostic, headings as regressed."""
        return cls(class_aware=False, use_direction=False)

    @classmethod
    def recommended(cls, class_aware: bool = True) -> DetectionConfig:
        """Return the settings that new bundles of V2X-Real's classes get.

        From their thresholds on nine of ten boxes of vehicles and trucks are right on unseen
        scenes; those of pedestrians are never so sure.
        """
        return cls(
            score_threshold=0.4,
            class_thresholds=RECOMMENDED_THRESHOLDS,
            class_aware=class_aware,
            competing=VEHICLE_OR_TRUCK,
            whole_boxes=False,
            drop_ego=True,
            vote_threshold=0.5,
        )


Float32Array = npt.NDArray[np.float32]


@njit(cache=True, nogil=True)
def collect_candidates(
    logits: Float32Array, floors: npt.NDArray[np.float64], thresholds: Float32Array
) -> tuple[npt.NDArray[np.int64], Float32Array, npt.NDArray[np.int32]]:
    """Return indices, scores and labels of anchors above their label's threshold, in order."""
    anchors, classes = logits.shape
    indices = np.empty(anchors, np.int64)
    scores = np.empty(anchors, np.float32)
    labels = np.empty(anchors, np.int32)
    count = 0
    for a in range(anchors):
        best = logits[a, 0]
        label = 0
        for k in range(1, classes):
            if logits[a, k] > best:
                best = logits[a, k]
                label = k
        if best > floors[label]:
            score = np.float32(1.0 / (1.0 + math.exp(-best)))
            if score > thresholds[label]:
                indices[count] = a
                scores[count] = score
                labels[count] = label + 1
                count += 1
    return indices[:count].copy(), scores[:count].copy(), labels[:count].copy()


#: x, y, z, l, w, h; the heading stays that of the best box, since opposite ones have no mean.
_VOTED = slice(0, 6)


def vote(
    kept: npt.NDArray[np.integer],
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    threshold: float,
) -> npt.NDArray[np.float32]:
    """Refine boxes by those that were suppressed (Gidaris and Komodakis, arXiv 1505.01749).

    A candidate's weight is its BEV IoU with the kept box times the square of its score.

    Args:
        kept: (K,) indices of the candidates that suppression kept.
        boxes: (N, 7) candidates [x, y, z, l, w, h, yaw], metres and radians.
        scores: (N,) scores of the candidates.
        labels: (N,) labels of the candidates.
        threshold: candidates of the same class with a BEV IoU above this have a vote; in [0, 1),
            so that every box has its own.

    Returns:
        (K, 7) the kept boxes, in their order, with their own headings.
    """
    refined = boxes[kept]
    numbers, groups = (np.ascontiguousarray(item, np.int64) for item in (kept, labels))
    overlap = rotated.overlaps_above(bev_rectangles(boxes), numbers, groups, threshold)
    weights = overlap * np.square(scores, dtype=np.float64)
    totals = weights.sum(axis=1, keepdims=True)
    counted = totals[:, 0] > 0.0  # a box without an area overlaps nothing, not even itself
    refined[counted, _VOTED] = (weights @ boxes[:, _VOTED])[counted] / totals[counted]
    return refined


# A sensor stands at most so far above the roof of the vehicle that carries it [m], over the middle
# half of its width, and not at the very ends of its length.
CLEARANCE = 1.3
ACROSS = 0.25
ALONG = 0.4


def is_ego_vehicle(boxes: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which boxes are of the vehicle that carries the sensor.

    Its LiDAR stands on its roof, so that the body's box is below the origin, which is over the
    middle of its width, and reaches up to about the origin's height. A roadside unit is no such
    thing: what passes beside its pole is off to a side, and what passes below a mast arm (5 m and
    more above the road) ends further below.

    Args:
        boxes: (N, 7) in the sensor's frame.

    Returns:
        (N,) bool.
    """
    check_boxes(boxes)
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    along = boxes[:, 0] * cos + boxes[:, 1] * sin
    across = boxes[:, 1] * cos - boxes[:, 0] * sin
    over: npt.NDArray[np.bool_] = np.abs(along) <= ALONG * boxes[:, 3]
    over &= np.abs(across) <= ACROSS * boxes[:, 4]
    over &= boxes[:, 2] + boxes[:, 5] / 2 > -CLEARANCE
    return over


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
    def empty(cls) -> Detections:
        """Return detections without any box."""
        return cls(
            np.zeros((0, BOX_SIZE), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
        )

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> Detections:
        """Return the detections that a mask or indices pick, in that order."""
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
    """Return the number of anchors a cell; DetectionError where the outputs do not fit."""
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


def _of_anchors(
    output: Float32Array, indices: npt.NDArray[np.int64], per_cell: int
) -> Float32Array:
    """Return an output's rows (N, channels / per_cell) of anchors in flat order, without a copy."""
    cells, anchors = np.divmod(indices, per_cell)
    rows, columns = np.divmod(cells, output.shape[1])
    shape = (len(indices), per_cell, output.shape[2] // per_cell)
    of_cells = output[rows, columns].reshape(shape)
    found: Float32Array = of_cells[np.arange(len(indices)), anchors]
    return found


def find_candidates(
    cls: Float32Array,
    reg: Float32Array,
    direction: Float32Array,
    anchors: FloatArray,
    config: DetectionConfig,
) -> Detections:
    """Return boxes above their threshold, unsuppressed, in flat order (row, column, anchor).

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
    deltas = _of_anchors(reg, indices, per_cell)
    boxes = decode_boxes(deltas, anchors[indices].astype(np.float32))
    if config.use_direction:
        bins = _of_anchors(direction, indices, per_cell).argmax(axis=1)
        boxes[:, 6] = correct_heading(boxes[:, 6], bins)
    return Detections(boxes, scores, labels).select(np.all(np.isfinite(boxes), axis=1))


def in_range(boxes: FloatArray, config: DetectionConfig) -> npt.NDArray[np.bool_]:
    """Return which boxes (N, 7) lie in the ranges, with all corners or their centre, (N,) bool."""
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
    """Return the detections of a frame (docs/network.md, "Post-processing").

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
    return kept.select(inside & ~is_ego_vehicle(kept.boxes) if config.drop_ego else inside)
