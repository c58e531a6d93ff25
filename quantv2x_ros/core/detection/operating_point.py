# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The score from which boxes of a class are given: what it costs and brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.evaluation import EvaluationError
from quantv2x_ros.core.detection.matching import BoolArray

STEP = 0.01
"""Score thresholds are multiples of this."""


@dataclass(frozen=True)
class OperatingPoint:
    """What a class gives with one threshold of scores.

    Attributes:
        threshold: Boxes with a score above this are given.
        precision: Share of those boxes that are right; NaN where there are none.
        recall: Share of the objects that they find.
    """

    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is no box."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def operating_points(
    scores: npt.NDArray[np.floating], hits: BoolArray, truth_count: int, lowest: float
) -> list[OperatingPoint]:
    """Return what each threshold gives, the lowest first.

    Args:
        scores: (N,) of one class's boxes, in any order.
        hits: (N,) whether each is right.
        truth_count: Number of objects.
        lowest: First threshold; boxes below it are not among `scores`.

    Raises:
        EvaluationError: Without an object.
    """
    if truth_count < 1:
        raise EvaluationError("no object of the class: a threshold cannot be chosen for it")
    points = []
    for step in range(round(lowest / STEP), round(1 / STEP)):
        threshold = round(step * STEP, 2)
        right = hits[scores > threshold]
        precision = float(right.mean()) if len(right) else float("nan")
        points.append(OperatingPoint(threshold, precision, float(right.sum()) / truth_count))
    return points


def choose_point(
    points: Sequence[OperatingPoint], precision: float | None = None
) -> OperatingPoint:
    """Return the point of the best F1, or the lowest threshold that is precise enough.

    Args:
        points: Of one class, the lowest threshold first.
        precision: Share of boxes that shall be right; where no threshold reaches it, and for
            `None`, the best F1 decides.
    """
    enough = [p for p in points if precision is not None and p.precision >= precision]
    return enough[0] if enough else max(points, key=lambda point: point.f1)
