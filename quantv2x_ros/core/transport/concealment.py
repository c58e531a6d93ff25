# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hides lost tiles: cells that did not come are taken from the same station's sweeps before.

What a sensor saw a tenth of a second ago is still nearly right, and needs neither more bytes nor a
second chance on the air. The station's poses say where its cells of then lie now; things that move
are off by their motion since.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_between, transform_points

IndexArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
PoseArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Remembered:
    """A station's newest map: codes, when each cell was seen [ns], and where from."""

    stamp_ns: int
    pose: PoseArray
    indices: IndexArray
    known: BoolArray
    seen_ns: npt.NDArray[np.int64]


class SweepMemory:
    """Memory of a station's last index map, from which lost cells are filled."""

    def __init__(self, grid: BevGrid, max_age: float) -> None:
        """Start without a memory.

        Args:
            grid: the grid of the maps.
            max_age: cells older than this are not used, seconds; 0 for no concealment.

        Raises:
            ValueError: for a negative age.
        """
        if not 0.0 <= max_age < np.inf:
            raise ValueError(f"max_age: got {max_age} s, expected 0 or more")
        self._grid = grid
        self._max_age_ns = round(1e9 * max_age)
        self._last: _Remembered | None = None

    def fill(
        self, indices: IndexArray, received: BoolArray, pose: PoseArray, stamp_ns: int
    ) -> tuple[IndexArray, BoolArray]:
        """Fill a sweep's lost cells as far as they are remembered, and remember the sweep.

        Args:
            indices: (planes, H, W) uint8, as far as they came.
            received: (H, W) bool, the cells that came.
            pose: (4, 4) sensor-to-map of the sweep, metres.
            stamp_ns: time of the sweep, nanoseconds.

        Returns:
            Indices and the mask of known cells; the arguments themselves where nothing is filled.
            A sweep older than the last one is left as it is.
        """
        if not self._max_age_ns:
            return indices, received
        last = self._last
        if last is not None and last.stamp_ns - self._max_age_ns <= stamp_ns <= last.stamp_ns:
            return indices, received  # late, or again; far back, the station's clock was set
        seen_ns = np.full(received.shape, stamp_ns, np.int64)
        known = received
        fresh = last is not None and last.stamp_ns < stamp_ns <= last.stamp_ns + self._max_age_ns
        if last is not None and fresh and not received.all():
            lost, source = self._sources(last, received, pose, stamp_ns)
            if len(lost[0]):
                indices, known = indices.copy(), received.copy()
                indices[:, lost[0], lost[1]] = last.indices[:, source[0], source[1]]
                seen_ns[lost] = last.seen_ns[source]
                known[lost] = True
        self._last = _Remembered(stamp_ns, pose, indices, known, seen_ns)
        return indices, known

    def _sources(
        self, last: _Remembered, received: BoolArray, pose: PoseArray, stamp_ns: int
    ) -> tuple[tuple[npt.NDArray[np.intp], ...], tuple[npt.NDArray[np.intp], ...]]:
        """Rows and columns of lost cells that are remembered, and of where: the nearest cell."""
        rows, columns = np.nonzero(~received)
        y, x = self._grid.cell_centres()
        points = np.stack([x[columns], y[rows], np.zeros(len(rows))], axis=1)
        then = transform_points(points, transform_between(pose, last.pose))
        size_y, size_x = self._grid.cell_size
        # compared as float: a wild pose gives places beyond any integer
        place = np.floor((then[:, 1::-1] - (y[0], x[0])) / (size_y, size_x) + 0.5)
        inside = ((place >= 0) & (place < received.shape)).all(axis=1)
        rows, columns = rows[inside], columns[inside]
        from_rows, from_columns = place[inside].astype(np.intp).T
        usable = last.known[from_rows, from_columns] & (
            stamp_ns - last.seen_ns[from_rows, from_columns] <= self._max_age_ns
        )
        return (rows[usable], columns[usable]), (from_rows[usable], from_columns[usable])
