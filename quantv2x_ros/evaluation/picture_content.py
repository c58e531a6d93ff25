# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The content of a picture, and the part of the ground that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.matching import match_frame
from quantv2x_ros.core.geometry.boxes import bev_iou

FOUND_OVERLAP = 0.3
"""BEV IoU from which a picture calls an object found."""


@dataclass(frozen=True)
class PictureContent:
    """The content of a picture, in the ego's LiDAR frame, metres.

    Attributes:
        clouds: Agent → points (P, 3 or more), the ego first; the order gives the colours.
        sensors: Place (x, y) of every agent's sensor.
        detections: Boxes found.
        truth_boxes: (M, 7) labelled boxes, `None` where there is no truth.
        classes: Names of the classes; label 1 is the first.
    """

    clouds: Mapping[str, npt.NDArray[np.floating]]
    sensors: Mapping[str, tuple[float, float]]
    detections: Detections
    truth_boxes: npt.NDArray[np.floating] | None
    classes: Sequence[str]

    def found(self) -> npt.NDArray[np.bool_]:
        """Return which truth boxes a detection of any class covers well enough, (M,) bool."""
        if self.truth_boxes is None:
            return np.zeros(0, dtype=bool)
        overlap = bev_iou(self.detections.boxes, self.truth_boxes)
        matches = match_frame(overlap, self.detections.scores, FOUND_OVERLAP)
        hit = np.zeros(len(self.truth_boxes), dtype=bool)
        hit[matches[matches >= 0]] = True
        return hit


@dataclass(frozen=True)
class PictureArea:
    """The part of the ground that a picture shows: x forward (up), y left, metres."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @classmethod
    def around(cls, scenes: Sequence[PictureContent], margin: float = 8.0) -> PictureArea:
        """Fit sensors, boxes and truth of several scenes, at most ±100 m by ±40 m."""
        spots: list[npt.NDArray[np.floating]] = [np.zeros((1, 2))]
        for scene in scenes:
            spots.append(np.array(list(scene.sensors.values())).reshape(-1, 2))
            spots.append(scene.detections.boxes[:, :2])
            if scene.truth_boxes is not None:
                spots.append(scene.truth_boxes[:, :2])
        places = np.concatenate(spots)
        limit = np.array([100.0, 40.0])
        low = np.clip(places.min(axis=0) - margin, -limit, (-30.0, -30.0))
        high = np.clip(places.max(axis=0) + margin, (30.0, 30.0), limit)
        return cls(float(low[0]), float(high[0]), float(low[1]), float(high[1]))

    @property
    def aspect(self) -> float:
        """Return the ratio of height (x) to width (y) on paper."""
        return (self.x_high - self.x_low) / (self.y_high - self.y_low)
