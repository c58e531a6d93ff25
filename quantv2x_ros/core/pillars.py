# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point cloud to pillars (NETWORK section 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.grid import BevGrid

MAX_POINTS_PER_PILLAR = 32
MAX_PILLARS = 70_000

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Pillars:
    """The points of one sweep, grouped into pillars in order of first appearance.

    Attributes:
        cells: (M,) int32, flat pillar cell (row * columns + column) of each pillar.
        counts: (M,) int32, points kept in each pillar, 1 to 32.
        means: (M, 3) float32, mean x, y, z of a pillar's kept points, metres.
        point_pillar: (K,) int32, pillar of each kept point.
        point_index: (K,) int32, row of each kept point in the input.
    """

    cells: Int32
    counts: Int32
    means: Float32
    point_pillar: Int32
    point_index: Int32


def check_points(points: npt.ArrayLike) -> Float32:
    """Return a cloud as contiguous (P, 4) float32.

    Raises:
        ValueError: for another shape.
    """
    cloud = np.ascontiguousarray(points, dtype=np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 4:
        raise ValueError(
            f"points: got shape {cloud.shape}, expected (P, 4): x, y, z [m] and intensity"
        )
    return cloud


@njit(cache=True, nogil=True)
def _group(  # type: ignore[no-untyped-def]
    points,
    low,
    high,
    voxel,
    columns,
    depth,
    max_points,
    max_pillars,
    slot_of_cell,
    cells,
    counts,
    sums,
    point_pillar,
    point_index,
):
    """Fill the output arrays; return (pillars, kept points). NaN fails every comparison."""
    pillars = 0
    kept = 0
    for i in range(points.shape[0]):
        # "not (a and b)" so that NaN is dropped too
        if not (points[i, 0] >= low[0] and points[i, 1] >= low[1] and points[i, 2] >= low[2]):
            continue
        if not (points[i, 0] < high[0] and points[i, 1] < high[1] and points[i, 2] < high[2]):
            continue
        column = int(np.floor((points[i, 0] - low[0]) / voxel[0]))
        row = int(np.floor((points[i, 1] - low[1]) / voxel[1]))
        level = int(np.floor((points[i, 2] - low[2]) / voxel[2]))
        cell = row * columns + column
        # float32 rounding can lift a point just below the range's end over it
        if column >= columns or cell >= slot_of_cell.shape[0] or level >= depth:
            continue
        slot = slot_of_cell[cell]
        if slot < 0:
            if pillars >= max_pillars:
                continue
            slot = pillars
            slot_of_cell[cell] = slot
            cells[slot] = cell
            counts[slot] = 0
            sums[slot, 0] = 0.0
            sums[slot, 1] = 0.0
            sums[slot, 2] = 0.0
            pillars += 1
        if counts[slot] >= max_points:
            continue
        counts[slot] += 1
        sums[slot, 0] += points[i, 0]
        sums[slot, 1] += points[i, 1]
        sums[slot, 2] += points[i, 2]
        point_pillar[kept] = slot
        point_index[kept] = i
        kept += 1
    for p in range(pillars):
        slot_of_cell[cells[p]] = -1
    return pillars, kept


class PillarGrouper:
    """Groups points into pillars with buffers that are kept from sweep to sweep.

    Args:
        grid: the grid.
        max_points: points kept in a pillar; later ones are dropped.
        max_pillars: pillars kept; points of later ones are dropped.
    """

    def __init__(
        self,
        grid: BevGrid,
        max_points: int = MAX_POINTS_PER_PILLAR,
        max_pillars: int = MAX_PILLARS,
    ) -> None:
        self.grid = grid
        self.max_points = max_points
        self.max_pillars = max_pillars
        rows, columns = grid.pillar_shape
        capacity = min(max_pillars, rows * columns)
        self._low = np.array(grid.lidar_range[:3], dtype=np.float32)
        self._high = np.array(grid.lidar_range[3:], dtype=np.float32)
        self._voxel = np.array(grid.voxel_size, dtype=np.float32)
        self._depth = round((grid.lidar_range[5] - grid.lidar_range[2]) / grid.voxel_size[2])
        self._slot_of_cell = np.full(rows * columns, -1, dtype=np.int32)
        self._cells = np.empty(capacity, dtype=np.int32)
        self._counts = np.empty(capacity, dtype=np.int32)
        self._sums = np.empty((capacity, 3), dtype=np.float64)
        self._point_pillar = np.empty(0, dtype=np.int32)
        self._point_index = np.empty(0, dtype=np.int32)

    def __call__(self, points: npt.ArrayLike) -> Pillars:
        """Group (P, 4) points; those outside the range or not finite are dropped.

        The arrays returned are views of kept buffers, valid until the next call.

        Raises:
            ValueError: for another shape.
        """
        cloud = check_points(points)
        if len(cloud) > len(self._point_index):
            self._point_pillar = np.empty(len(cloud), dtype=np.int32)
            self._point_index = np.empty(len(cloud), dtype=np.int32)
        pillars, kept = _group(
            cloud,
            self._low,
            self._high,
            self._voxel,
            self.grid.pillar_shape[1],
            self._depth,
            self.max_points,
            self.max_pillars,
            self._slot_of_cell,
            self._cells,
            self._counts,
            self._sums,
            self._point_pillar,
            self._point_index,
        )
        counts = self._counts[:pillars]
        means = (self._sums[:pillars] / np.maximum(counts, 1)[:, None]).astype(np.float32)
        return Pillars(
            cells=self._cells[:pillars],
            counts=counts,
            means=means,
            point_pillar=self._point_pillar[:kept],
            point_index=self._point_index[:kept],
        )

    def centres(self, cells: Int32) -> Float32:
        """Return the centres (M, 3) float32 of pillar cells, metres."""
        row, column = np.divmod(cells, self.grid.pillar_shape[1])
        index = np.stack([column, row, np.zeros_like(row)], axis=1).astype(np.float32)
        centres = index * self._voxel + (self._voxel / 2 + self._low)
        return centres.astype(np.float32, copy=False)
