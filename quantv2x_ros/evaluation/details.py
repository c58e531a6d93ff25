# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The details of an evaluation: parts of the truth, curves, the worst frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.core.detection.evaluation import (
    RANGE_BANDS,
    SIGHTS,
    AveragePrecision,
    Breakdown,
    range_groups,
    sight_groups,
)
from quantv2x_ros.core.detection.headings import FrontsTold
from quantv2x_ros.core.detection.matching import FrameScore, recall_precision
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import EgoView

WORST_OVERLAP = 0.3
"""BEV IoU from which an object of a frame counts as found when frames are ranked."""

FRONT_OVERLAP = 0.5
"""BEV IoU from which an object counts as found when headings are compared."""


@dataclass(frozen=True)
class RatedFrame:
    """The score of one frame.

    Attributes:
        folder: Folder of its scenario.
        timestamp: Name of the frame.
        agents: Names of the agents that took part, the ego first.
        score: Objects found and missed, and false boxes; objects that no agent sees need not
            be found.
    """

    folder: Path
    timestamp: str
    agents: tuple[str, ...]
    score: FrameScore

    @property
    def errors(self) -> int:
        """Return the number of missed objects and false boxes."""
        return self.score.missed + self.score.false


class Details:
    """Gathers the details, frame by frame.

    Args:
        metric: Function that makes an empty metric.
    """

    def __init__(self, metric: Callable[[], AveragePrecision]) -> None:
        self._metric = metric
        self._agents: dict[int, AveragePrecision] = {}
        self._ranges = Breakdown(RANGE_BANDS, metric)
        self._sights = Breakdown(SIGHTS, metric)
        whole = metric()
        self._fronts = FrontsTold(whole.classes, list(whole.ious).index(FRONT_OVERLAP))
        self.frames: list[RatedFrame] = []

    def add(self, state: FrameState, view: EgoView, truth: Truth, whole: AveragePrecision) -> None:
        """Add one frame.

        Args:
            state: State of the frame.
            view: Detections of the ego.
            truth: Labelled objects.
            whole: Metric of all objects, which matches boxes and objects.
        """
        matches = whole.match(view.detections, truth.boxes, truth.labels)
        self._agents.setdefault(view.agents, self._metric()).add_matches(matches)
        boxes = view.detections.boxes
        self._fronts.add(matches, boxes, truth.boxes)
        self._ranges.add(matches, range_groups(truth.boxes), range_groups(boxes))
        clouds = [
            transform_points(
                state.frame[name].points,
                transform_between(state.frame[name].pose, state.frame[state.ego].lidar_pose),
            ).astype(np.float32)
            for name in state.sent
        ]
        sights = sight_groups(truth.boxes, clouds)
        self._sights.add(matches, sights, sight_groups(boxes, clouds))
        inside = (np.abs(truth.boxes[:, 0]) <= whole.range_x) & (
            np.abs(truth.boxes[:, 1]) <= whole.range_y
        )
        score = recall_precision(
            view.detections,
            truth.boxes,
            truth.labels,
            iou=WORST_OVERLAP,
            optional=(sights == SIGHTS.index("seen by nobody")) | ~inside,
        )
        self.frames.append(
            RatedFrame(state.frame.folder, state.frame.timestamp, tuple(state.sent), score)
        )

    def compute(self) -> dict[str, Any]:
        """Return each part's result by the name of its breakdown, and the share of fronts told."""
        return {
            "fronts_told": self._fronts.compute(),
            "by_agents": {
                str(count): {**metric.compute(), "frames": metric.frames}
                for count, metric in sorted(self._agents.items())
            },
            "by_range": self._ranges.compute(),
            "by_sight": self._sights.compute(),
        }

    def worst(self, count: int) -> list[RatedFrame]:
        """Return the frames with most errors, the worst first."""
        return sorted(self.frames, key=lambda frame: -frame.errors)[:count]
