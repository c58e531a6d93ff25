# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of core.ground_plane: thinning a cloud, and counting what lies on a plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def lowest_points(points: Float32, reach: float, cell: float) -> Float64:
    """Return the lowest point of each square cell around the origin, (N, 3).

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        reach: horizontal distance from the origin, metres.
        cell: side of a cell, metres.
    """
    side = int(np.ceil(2 * reach / cell))
    lowest = np.full(side * side, -1, np.int64)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if not (x * x + y * y < reach * reach and np.isfinite(z)):
            continue
        place = int((y + reach) / cell) * side + int((x + reach) / cell)
        if lowest[place] < 0 or z < points[lowest[place], 2]:
            lowest[place] = i
    return _rows(points, lowest)


@njit(cache=True, nogil=True)
def first_of_voxels(points: Float32, reach: float, size: float) -> Float64:
    """Return the first point in each cubic voxel around the origin, (N, 3).

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        reach: distance from the origin along each axis, metres.
        size: side of a voxel, metres.
    """
    side = int(np.ceil(2 * reach / size))
    first = np.full(side * side * side, -1, np.int64)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if not (abs(x) < reach and abs(y) < reach and abs(z) < reach):
            continue
        place = (int((z + reach) / size) * side + int((y + reach) / size)) * side
        place += int((x + reach) / size)
        if first[place] < 0:
            first[place] = i
    return _rows(points, first)


@njit(cache=True, nogil=True)
def _rows(points: Float32, which: npt.NDArray[np.int64]) -> Float64:
    """Return x, y, z of the points that are named, those below 0 left out."""
    found = np.empty((np.count_nonzero(which >= 0), 3), np.float64)
    count = 0
    for i in which:
        if i >= 0:
            for axis in range(3):
                found[count, axis] = points[i, axis]
            count += 1
    return found


@njit(cache=True, nogil=True)
def best_plane(
    candidates: Float64,
    triples: npt.NDArray[np.int64],
    axis: Float64,
    least_cosine: float,
    band: float,
    below_cost: float,
) -> tuple[Float64, float]:
    """Return the plane through three candidates that most candidates lie on, and its score.

    A candidate scores 1 on the plane, falling with the square of its distance to 0 at the band, and
    costs `below_cost` where it lies further below: nothing lies under the ground.

    Args:
        candidates: (N, 3).
        triples: (K, 3) rows of candidates.
        axis: (3,) unit vector that the plane's normal points along.
        least_cosine: of the angle between the two.
        band: metres.
        below_cost: see above.

    Returns:
        (4,) unit normal and d with n·p + d = 0 on the plane, and the score; -inf where no triple
        makes a plane.
    """
    best, best_score = np.zeros(4), -np.inf
    per_square = 1.0 / (band * band)
    for k in range(len(triples)):
        a, b, c = triples[k]
        ux, uy, uz = _between(candidates, a, b)
        vx, vy, vz = _between(candidates, a, c)
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length < 1.0:  # nearly on a line
            continue
        if nx * axis[0] + ny * axis[1] + nz * axis[2] < 0:
            length = -length
        nx, ny, nz = nx / length, ny / length, nz / length
        if nx * axis[0] + ny * axis[1] + nz * axis[2] < least_cosine:
            continue
        d = -(nx * candidates[a, 0] + ny * candidates[a, 1] + nz * candidates[a, 2])
        score = 0.0
        for i in range(len(candidates)):
            distance = nx * candidates[i, 0] + ny * candidates[i, 1] + nz * candidates[i, 2] + d
            score += max(1.0 - distance * distance * per_square, 0.0)
            if distance < -band:
                score -= below_cost
        if score > best_score:
            best_score = score
            best[0], best[1], best[2], best[3] = nx, ny, nz, d
    return best, best_score


@njit(cache=True, nogil=True)
def _between(rows: Float64, one: int, other: int) -> tuple[float, float, float]:
    """Return x, y, z from one row to another."""
    return (
        rows[other, 0] - rows[one, 0],
        rows[other, 1] - rows[one, 1],
        rows[other, 2] - rows[one, 2],
    )


@njit(cache=True, nogil=True)
def ground_of_cells(
    points: Float32, plane: Float64, reach: float, cell: float, band: float
) -> Float64:
    """Return the mean, (N, 3), of each cell's points that lie within a band around a plane.

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        plane: (4,) unit normal and d, n·p + d = 0.
        reach: horizontal distance from the origin, metres.
        cell: side of a cell, metres.
        band: metres to either side.
    """
    side = int(np.ceil(2 * reach / cell))
    sums = np.zeros((side * side, 4), np.float64)
    for i in range(len(points)):
        x, y, z = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        if not (x * x + y * y < reach * reach):
            continue
        if not abs(plane[0] * x + plane[1] * y + plane[2] * z + plane[3]) < band:
            continue
        place = int((y + reach) / cell) * side + int((x + reach) / cell)
        sums[place, 0] += x
        sums[place, 1] += y
        sums[place, 2] += z
        sums[place, 3] += 1.0
    held = sums[sums[:, 3] > 0]
    return held[:, :3] / held[:, 3:]
