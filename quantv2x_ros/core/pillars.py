# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point cloud to pillars, and the pillar feature network (NETWORK section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.grid import BevGrid

MAX_POINTS_PER_PILLAR = 32
MAX_PILLARS = 70_000
PFN_EPSILON = 1e-3

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


@dataclass(frozen=True)
class PillarWeights:
    """The pillar feature network with its BatchNorm folded in.

    Attributes:
        linear: (C, 10) float32; columns x, y, z, intensity, offset from the pillar's mean, offset
            from the pillar's centre.
        bias: (C,) float32.
    """

    linear: Float32
    bias: Float32

    def __post_init__(self) -> None:
        """Validate shapes and values."""
        if self.linear.ndim != 2 or self.linear.shape[1] != 10:
            raise ValueError(f"pillar weights: got shape {self.linear.shape}, expected (C, 10)")
        if self.bias.shape != self.linear.shape[:1]:
            raise ValueError(
                f"pillar bias: got shape {self.bias.shape}, expected {self.linear.shape[:1]}"
            )
        if not (np.isfinite(self.linear).all() and np.isfinite(self.bias).all()):
            raise ValueError("pillar weights: not all values are finite; export the bundle again")

    @property
    def channels(self) -> int:
        """Number of output channels C."""
        return int(self.linear.shape[0])

    @classmethod
    def from_layers(
        cls, state: Mapping[str, npt.NDArray[np.generic]], prefix: str, epsilon: float = PFN_EPSILON
    ) -> PillarWeights:
        """Fold a linear layer and its BatchNorm, in float64.

        Args:
            state: name to array; ``<prefix>linear.weight`` (C, 10) and ``<prefix>norm.*`` (C,).
            prefix: for the published naming ``encoder_m1.pillar_vfe.pfn_layers.0.``.
            epsilon: of the BatchNorm.

        Raises:
            KeyError: for a missing tensor.
        """
        weight = np.asarray(state[prefix + "linear.weight"], dtype=np.float64)
        gamma = np.asarray(state[prefix + "norm.weight"], dtype=np.float64)
        beta = np.asarray(state[prefix + "norm.bias"], dtype=np.float64)
        mean = np.asarray(state[prefix + "norm.running_mean"], dtype=np.float64)
        variance = np.asarray(state[prefix + "norm.running_var"], dtype=np.float64)
        scale = gamma / np.sqrt(variance + epsilon)
        return cls(
            linear=(weight * scale[:, None]).astype(np.float32),
            bias=(beta - mean * scale).astype(np.float32),
        )


@dataclass(frozen=True)
class PillarMap:
    """Pillar features scattered into the grid.

    Attributes:
        features: (rows, columns, C), float32, or uint8 of value / scale. A view of the network's
            workspace: valid until its next call.
        pillars: number of pillars.
        points: number of points kept.
    """

    features: npt.NDArray[np.uint8] | Float32
    pillars: int
    points: int


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


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True, fastmath=True)
def _maxima(points, point_pillar, point_index, centres, linear, out):  # type: ignore[no-untyped-def]
    """out[p] = max over the pillar's points of linear @ (local x, y, z, intensity)."""
    channels = linear.shape[1]
    for p in range(out.shape[0]):
        for c in range(channels):
            out[p, c] = np.float32(-3.4e38)
    for k in range(point_pillar.shape[0]):
        p = point_pillar[k]
        i = point_index[k]
        x = points[i, 0] - centres[p, 0]
        y = points[i, 1] - centres[p, 1]
        z = points[i, 2] - centres[p, 2]
        intensity = points[i, 3]
        for c in range(channels):
            value = (
                x * linear[0, c] + y * linear[1, c] + z * linear[2, c] + intensity * linear[3, c]
            )
            out[p, c] = max(out[p, c], value)


class PillarNet:
    """The pillar feature network: points to a scattered BEV map.

    Written for each point as its offset from the pillar's centre, the ten input features are
    affine in four numbers plus a constant of the pillar, so the maximum over a pillar's points
    needs four products a channel (exact; NETWORK section 1). A pillar that is not full also takes
    the padding's constant relu(bias) into its maximum.

    Args:
        weights: folded weights.
        grid: the grid.
        scale: None for a float32 map; else the map is uint8 of round(value / scale), clipped.
    """

    def __init__(self, weights: PillarWeights, grid: BevGrid, scale: float | None = None) -> None:
        if scale is not None and not 0 < scale < np.inf:
            raise ValueError(f"pillar map scale: got {scale}, expected a positive number or None")
        self.weights = weights
        self.grid = grid
        self.scale = scale
        self.grouper = PillarGrouper(grid)
        xyz, intensity = weights.linear[:, 0:3], weights.linear[:, 3:4]
        self._mean_weight = weights.linear[:, 4:7].T.copy()
        self._xyz_weight = xyz.T.copy()
        merged = xyz + weights.linear[:, 4:7] + weights.linear[:, 7:10]
        self._local = np.ascontiguousarray(np.concatenate([merged, intensity], axis=1).T)
        rows, columns = grid.pillar_shape
        kind = np.float32 if scale is None else np.uint8
        self._map = np.zeros((rows * columns, weights.channels), dtype=kind)
        self._used = np.empty(0, dtype=np.int32)

    def __call__(self, points: npt.ArrayLike) -> PillarMap:
        """Encode (P, 4) points; an empty cloud, or none in range, gives a map of zeros.

        Raises:
            ValueError: for another shape.
        """
        cloud = check_points(points)
        pillars = self.grouper(cloud)
        values = self.pillar_features(cloud, pillars)
        self._map[self._used] = 0
        if self.scale is None:
            self._map[pillars.cells] = values
        else:
            # values are >= 0, so adding a half and truncating rounds to the nearest
            levels = np.minimum(values * np.float32(1.0 / self.scale) + np.float32(0.5), 255)
            self._map[pillars.cells] = levels.astype(np.uint8)
        self._used = pillars.cells.copy()
        rows, columns = self.grid.pillar_shape
        return PillarMap(
            features=self._map.reshape(rows, columns, -1),
            pillars=len(pillars.cells),
            points=len(pillars.point_index),
        )

    def pillar_features(self, cloud: Float32, pillars: Pillars) -> Float32:
        """Return the features (M, C) float32 of grouped pillars."""
        centres = self.grouper.centres(pillars.cells)
        values = np.empty((len(pillars.cells), self.weights.channels), dtype=np.float32)
        _maxima(cloud, pillars.point_pillar, pillars.point_index, centres, self._local, values)
        values += centres @ self._xyz_weight
        values -= (pillars.means - centres) @ self._mean_weight
        values += self.weights.bias
        not_full = pillars.counts < self.grouper.max_points
        values[not_full] = np.maximum(values[not_full], self.weights.bias)
        result: Float32 = np.maximum(values, 0, out=values)
        return result
