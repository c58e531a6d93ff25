# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the post-processing, which a bundle brings along."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

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
    """Settings of the post-processing (NETWORK.md section 6).

    Attributes:
        score_threshold: candidates have a score above this, in [0, 1).
        class_thresholds: the same for each class, by its label from 1 on; empty where
            `score_threshold` is for all.
        nms_threshold: a box is dropped where its BEV IoU with a better one is above this.
        max_candidates: only this many best candidates enter the suppression.
        class_aware: boxes suppress only boxes of their own class, and of those it competes with.
        competing: groups of labels whose boxes suppress each other, where suppression is class
            aware: an object is of one of them.
        use_direction: correct headings with the direction head.
        range_x: boxes must lie in x ± this [m]; infinity switches the test off.
        range_y: the same in y.
        whole_boxes: with all corners, as published; else with their centre. An object whose centre
            is in range counts in the evaluation, and a box cut off for its bumper misses it.
        vote_threshold: a kept box becomes the mean of the suppressed ones whose BEV IoU with it is
            above this, see core.voting; 0 keeps it as it is, as published post-processing does.
        drop_ego: drop boxes around the sensor itself: the body of the vehicle that carries it,
            which peers see. See `covers_sensor`. Published post-processing keeps them.

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
        """Of the score thresholds of all classes."""
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
        """Return a number for each box, (N,): those of the same number suppress each other.

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
    def parity(cls) -> DetectionConfig:
        """The published post-processing: class-agnostic, headings as regressed."""
        return cls(class_aware=False, use_direction=False)

    @classmethod
    def recommended(cls, class_aware: bool = True) -> DetectionConfig:
        """What new bundles of V2X-Real's classes get; boxes are voted on.

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
