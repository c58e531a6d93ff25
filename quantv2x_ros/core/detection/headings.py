# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which end of a found object is its front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.matching import ClassMatches


class FrontsTold:
    """Counts the boxes of found objects that point forwards rather than backwards.

    Args:
        classes: Names of the classes, in the order of the matches.
        row: Which of the matches' overlaps counts as found.
    """

    def __init__(self, classes: Sequence[str], row: int) -> None:
        self._row = row
        self._counts = {name: np.zeros(2, np.int64) for name in classes}

    def add(
        self,
        matches: Sequence[ClassMatches],
        boxes: npt.NDArray[np.floating],
        truth: npt.NDArray[np.floating],
    ) -> None:
        """Add one frame.

        Args:
            matches: What `AveragePrecision.match` returned.
            boxes: (N, 7) that were found, heading last [rad].
            truth: (M, 7) in the same frame.
        """
        for counts, found in zip(self._counts.values(), matches, strict=True):
            theirs = found.matches[self._row]
            ours = found.detections[theirs >= 0]
            turned = boxes[ours, 6] - truth[theirs[theirs >= 0], 6]
            counts += int((np.cos(turned) > 0.0).sum()), len(ours)

    def compute(self) -> dict[str, float]:
        """Return the share that points forwards by class; NaN where nothing was found."""
        return {
            name: float(right / found) if found else float("nan")
            for name, (right, found) in self._counts.items()
        }
