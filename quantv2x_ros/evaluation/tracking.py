# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well objects are followed, with the tracker that the fusion node has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections, nms
from quantv2x_ros.core.geometry.boxes import bev_iou, centres_in_range
from quantv2x_ros.core.tracking.clear_mot import MotCounts, MotScorer
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.data.scenario import FRAME_PERIOD

#: Least overlap, seen from above, of an object with its track.
LEAST_OVERLAP = 0.3


class TrackingScore:
    """CLEAR MOT metrics of what the fusion node would publish, class by class.

    Boxes count from the thresholds of the bundle on, which are for use on a vehicle, and not from
    those of the ranking. Every frame of a scenario must come by.
    """

    def __init__(self, classes: Sequence[str], detection: DetectionConfig) -> None:
        """Start without a scene.

        Args:
            classes: names of the classes.
            detection: the bundle's, with thresholds and ranges.
        """
        self._classes = classes
        self._detection = detection
        self._thresholds = detection.thresholds(len(classes))
        self._totals = [MotCounts() for _ in classes]
        self._scorers: list[MotScorer] = []
        self.start_scenario()

    def start_scenario(self) -> None:
        """Begin another scene: nothing is followed into it."""
        for total, scorer in zip(self._totals, self._scorers, strict=False):
            total.add(scorer.counts)
        self._tracker = ObjectTracker()
        self._scorers = [MotScorer(LEAST_OVERLAP) for _ in self._classes]

    def step(
        self,
        number: int,
        pose: npt.NDArray[np.float64],
        detections: Detections,
        truth: Truth | None,
    ) -> None:
        """Add the next frame of a scenario.

        Args:
            number: of the frame; frames are `FRAME_PERIOD` apart.
            pose: (4, 4) of the ego's sensor in the map.
            detections: in the ego's frame.
            truth: labelled objects; None for a frame that is not evaluated.
        """
        found = self._published(detections)
        tracked = self._tracker.update(found, pose, FRAME_PERIOD * number)
        if truth is None:
            return
        how = self._detection
        seen = centres_in_range(found.boxes, how.range_x, how.range_y)
        there = centres_in_range(truth.boxes, how.range_x, how.range_y)
        for label, scorer in enumerate(self._scorers, start=1):
            ours = np.flatnonzero(seen & (found.labels == label))
            theirs = np.flatnonzero(there & (truth.labels == label))
            overlaps = bev_iou(truth.boxes[theirs], found.boxes[ours])
            scorer.take(truth.ids[theirs].tolist(), tracked.ids[ours].tolist(), overlaps)

    def _published(self, detections: Detections) -> Detections:
        """Return what the fusion node would publish of detections that were to be ranked."""
        sure = detections.select(detections.scores > self._thresholds[detections.labels - 1])
        rivals = self._detection.rivals(sure.labels)
        return sure.select(nms(sure.boxes, sure.scores, self._detection.nms_threshold, rivals))

    def compute(self) -> dict[str, Any]:
        """Return the result.

        Returns:
            Class → `MOTA`, `MOTP`, `id_switches`, `missed`, `false` and `objects`, over all scenes.
        """
        self.start_scenario()
        return {
            name: {
                "MOTA": counts.accuracy,
                "MOTP": counts.precision,
                "id_switches": counts.switches,
                "missed": counts.missed,
                "false": counts.false,
                "objects": counts.objects,
            }
            for name, counts in zip(self._classes, self._totals, strict=True)
        }
