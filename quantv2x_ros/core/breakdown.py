# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of parts of the truth: by distance, by who can see an object.

A part is a property of a box, so that it holds for truth and detections alike: a detection of an
object of another part does not count, a false one counts where its own box belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.boxes import points_in_boxes
from quantv2x_ros.core.evaluation import AveragePrecision
from quantv2x_ros.core.matching import ClassMatches

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
