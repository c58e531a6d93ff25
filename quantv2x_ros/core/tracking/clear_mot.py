# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well objects keep their ids: the CLEAR MOT metrics.

Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance, EURASIP Journal on
Image and Video Processing 2008: an object keeps the track that it had while both still overlap; the
others are matched for the greatest overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment


@dataclass
class MotCounts:
    """Counts over frames.

    Attributes:
        objects: labelled objects, each frame anew.
        missed: those that no track is on.
        false: tracks that are on none.
        switches: objects that have another track than the last one that was on them.
        overlap: sum of the overlaps of objects with their tracks.
    """

    objects: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    overlap: float = 0.0

    @property
    def accuracy(self) -> float:
        """MOTA: 1 less the share of objects that are missed, false or switched; NaN of none."""
        if not self.objects:
            return float("nan")
        return 1.0 - (self.missed + self.false + self.switches) / self.objects

    @property
    def precision(self) -> float:
        """MOTP: mean overlap of objects with the tracks on them; NaN of none."""
        on = self.objects - self.missed
        return self.overlap / on if on else float("nan")

    def add(self, other: MotCounts) -> None:
        """Add another scene's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class MotScorer:
    """Scores one scene's tracks of one class."""

    def __init__(self, threshold: float) -> None:
        """Begin a scene.

        Args:
            threshold: least overlap of an object with its track.
        """
        self._threshold = threshold
        self._tracks: dict[object, int] = {}
        self.counts = MotCounts()

    def take(
        self,
        objects: Sequence[object],
        tracks: Sequence[int],
        overlaps: npt.NDArray[np.float64],
    ) -> None:
        """Take a frame.

        Args:
            objects: names of the labelled objects.
            tracks: ids of the tracks.
            overlaps: (objects, tracks) overlaps, 0 to 1.
        """
        pairs = self._kept(objects, tracks, overlaps)
        pairs.update(self._found(pairs, overlaps))
        self.counts.objects += len(objects)
        self.counts.missed += len(objects) - len(pairs)
        self.counts.false += len(tracks) - len(pairs)
        for row, column in pairs.items():
            before = self._tracks.get(objects[row])
            self.counts.switches += before is not None and before != tracks[column]
            self.counts.overlap += float(overlaps[row, column])
            self._tracks[objects[row]] = int(tracks[column])

    def _kept(
        self, objects: Sequence[object], tracks: Sequence[int], overlaps: npt.NDArray[np.float64]
    ) -> dict[int, int]:
        """Return row to column of the pairs of before that still overlap enough."""
        column_of = {int(track): column for column, track in enumerate(tracks)}
        kept: dict[int, int] = {}
        for row, name in enumerate(objects):
            column = column_of.get(self._tracks.get(name, -1))
            if column is None or column in kept.values():
                continue
            if overlaps[row, column] >= self._threshold:
                kept[row] = column
        return kept

    def _found(self, taken: Mapping[int, int], overlaps: npt.NDArray[np.float64]) -> dict[int, int]:
        """Return row to column of further pairs, for the greatest overlap of all."""
        free = np.where(overlaps >= self._threshold, overlaps, 0.0)
        free[list(taken.keys())] = 0.0
        free[:, list(taken.values())] = 0.0
        rows, columns = linear_sum_assignment(free, maximize=True)
        return {
            int(row): int(column)
            for row, column in zip(rows, columns, strict=True)
            if free[row, column] > 0
        }
