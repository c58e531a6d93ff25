# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point cloud to pillars (docs/network.md, "Pillar features")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.geometry.grid import BevGrid


@njit(cache=True, nogil=True, fastmath=True)
def fill(  # type: ignore[no-untyped-def]
    points,
    order,
    ends,
    centres,
    means,
    local_weight,
    xyz_weight,
    mean_weight,
    bias,
    max_points,
    steps_per_unit,
    rows,
    out,
):
    """Write the feature of pillar p into out[rows[p]].

    Pillar by pillar, so that its maximum stays in the first-level cache; ``order`` holds the
    points of pillar p up to ``ends[p]``. ``steps_per_unit`` is 0 where ``out`` is not quantized.
    """
    channels = bias.shape[0]
    best = np.empty(channels, np.float32)
    first = 0
    for p in range(ends.shape[0]):
        cx, cy, cz = centres[p, 0], centres[p, 1], centres[p, 2]
        mx, my, mz = means[p, 0] - cx, means[p, 1] - cy, means[p, 2] - cz
        for c in range(channels):
            best[c] = np.float32(-3.4e38)
        for k in range(first, ends[p]):
            i = order[k]
            x, y, z = points[i, 0] - cx, points[i, 1] - cy, points[i, 2] - cz
            intensity = points[i, 3]
            for c in range(channels):
                value = (
                    x * local_weight[0, c]
                    + y * local_weight[1, c]
                    + z * local_weight[2, c]
                    + intensity * local_weight[3, c]
                )
                best[c] = max(best[c], value)
        full = ends[p] - first >= max_points
        first = ends[p]
        row = rows[p]
        for c in range(channels):
            value = best[c] + (
                (cx * xyz_weight[0, c] + cy * xyz_weight[1, c] + cz * xyz_weight[2, c])
                - (mx * mean_weight[0, c] + my * mean_weight[1, c] + mz * mean_weight[2, c])
                + bias[c]
            )
            floor = np.float32(0.0) if full else max(bias[c], np.float32(0.0))
            best[c] = max(value, floor)
        if steps_per_unit > 0:
            # values are >= 0, so adding a half and truncating rounds to the nearest
            for c in range(channels):
                level = best[c] * steps_per_unit + np.float32(0.5)
                out[row, c] = np.int32(min(level, np.float32(255.0)))
        else:
            for c in range(channels):
                out[row, c] = best[c]


@njit(cache=True, nogil=True)
def by_pillar(point_pillar, point_index, ends, order):  # type: ignore[no-untyped-def]
    """Sort points by pillar into ``order``; ``ends`` holds where each pillar's begin, then end."""
    for k in range(point_pillar.shape[0]):
        pillar = point_pillar[k]
        order[ends[pillar]] = point_index[k]
        ends[pillar] += 1


@njit(cache=True, nogil=True)
def clear(rows, out):  # type: ignore[no-untyped-def]
    """Set some rows of out to zero."""
    for row in rows:
        for c in range(out.shape[1]):
            out[row, c] = 0


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
