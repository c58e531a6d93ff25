# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the post-processing, which a bundle brings along."""

from dataclasses import dataclass

#: Score above which detections are ranked in the published evaluation; what a vehicle acts on may
#: well be stricter.
PROTOCOL_SCORE = 0.2


class DetectionError(ValueError):
    """Head outputs, scores or settings that do not fit each other."""


@dataclass(frozen=True)
class DetectionConfig:
    """Settings of the post-processing (NETWORK.md section 6).

    Attributes:
        score_threshold: candidates have a score above this, in [0, 1).
        nms_threshold: a box is dropped where its BEV IoU with a better one is above this.
        max_candidates: only this many best candidates enter the suppression.
        class_aware: boxes suppress only boxes of their own class.
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

    def __post_init__(self) -> None:
        if not 0.0 <= self.score_threshold < 1.0:
            raise DetectionError(f"score_threshold must be in [0, 1), got {self.score_threshold}")
        if not 0.0 <= self.nms_threshold <= 1.0:
            raise DetectionError(f"nms_threshold must be in [0, 1], got {self.nms_threshold}")
        if not 0.0 <= self.vote_threshold < 1.0:
            raise DetectionError(f"vote_threshold must be in [0, 1), got {self.vote_threshold}")
        if self.max_candidates < 1:
            raise DetectionError(f"max_candidates must be 1 or more, got {self.max_candidates}")
        if not (self.range_x > 0.0 and self.range_y > 0.0):
            raise DetectionError(f"ranges must be positive, got {self.range_x}, {self.range_y}")

    @classmethod
    def parity(cls) -> "DetectionConfig":
        """The published post-processing: class-agnostic, headings as regressed."""
        return cls(class_aware=False, use_direction=False)

    @classmethod
    def recommended(cls, class_aware: bool = True) -> "DetectionConfig":
        """What new bundles get: as many misses as false boxes on unseen scenes, boxes voted on."""
        return cls(
            score_threshold=0.4,
            class_aware=class_aware,
            whole_boxes=False,
            drop_ego=True,
            vote_threshold=0.5,
        )
