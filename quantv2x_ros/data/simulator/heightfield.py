# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ground given as a raster of heights: look-up, and the first hit of rays.

Heights are bilinear between the nodes and constant beyond the edge. A ray skips every square tile
over whose highest node it passes. Through the others it advances as far as the steepest cell of the
tile lets the ground stay below it (sphere tracing), but at least a part of a cell, and false
position finds where it goes below the surface. A ray begins where the beam below it has ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.data.simulator.rays import uniform

FloatArray = npt.NDArray[np.float64]
#: Cells along the side of a tile.
TILE = 16
#: Part of a cell that a ray advances at a step, at least.
STRIDE = 0.7
REFINEMENTS = 8
#: How far before the end of the beam below a beam begins, metres: the texture moves that end.
BACKSTEP = 0.5
#: Height over the surface at which the search for the hit ends, metres.
TOLERANCE = 5e-4


@dataclass(frozen=True)
class HeightField:
    """A raster of ground heights; make it by :meth:`from_heights`.

    Attributes:
        heights: (R, C) float64 metres; rows are y, columns are x.
        frame: (x, y) of node [0, 0] and the spacing of the nodes, metres.
        blocks: (R / TILE, C / TILE, 2) float64: the highest node on and in each tile, metres, and
            a bound of its gradient.
    """

    heights: FloatArray
    frame: tuple[float, float, float]
    blocks: FloatArray

    @classmethod
    def from_heights(cls, heights: FloatArray, frame: tuple[float, float, float]) -> HeightField:
        """Build the blocks of a raster; see the class for the arguments.

        Raises:
            ValueError: fewer than 2 x 2 nodes, a height that is not finite, or a spacing that is
                not positive.
        """
        if heights.ndim != 2 or min(heights.shape) < 2 or frame[2] <= 0:
            raise ValueError(
                f"HeightField: heights {heights.shape} and spacing {frame[2]}, expected "
                "(rows >= 2, columns >= 2) and a positive spacing"
            )
        if not np.isfinite(heights).all():
            raise ValueError("HeightField: heights must be finite, remove NaN and infinity")
        rows, columns = heights.shape
        extra = (-(rows - 1) % TILE, -(columns - 1) % TILE)
        padded = np.pad(heights, ((0, extra[0]), (0, extra[1])), mode="edge")
        nodes = sliding_window_view(padded, (TILE + 1, TILE + 1))[::TILE, ::TILE]
        along_x = np.abs(np.diff(nodes, axis=3)).max(axis=(2, 3))
        along_y = np.abs(np.diff(nodes, axis=2)).max(axis=(2, 3))
        blocks = np.stack([nodes.max(axis=(2, 3)), np.hypot(along_x, along_y) / frame[2]], axis=2)
        return cls(np.ascontiguousarray(heights, np.float64), frame, blocks)

    def height(self, x: float, y: float) -> float:
        """Return z at (x, y), metres."""
        return float(height_at(x, y, self.heights, self.frame))


@njit(cache=True)
def height_at(x: float, y: float, heights: FloatArray, frame: tuple[float, float, float]) -> float:
    """Return the bilinear height at (x, y), metres; constant beyond the raster's edge."""
    u = min(max((x - frame[0]) / frame[2], 0.0), heights.shape[1] - 1.0)
    v = min(max((y - frame[1]) / frame[2], 0.0), heights.shape[0] - 1.0)
    j, i = min(int(u), heights.shape[1] - 2), min(int(v), heights.shape[0] - 2)
    a, b = u - j, v - i
    low = heights[i, j] + a * (heights[i, j + 1] - heights[i, j])
    high = heights[i + 1, j] + a * (heights[i + 1, j + 1] - heights[i + 1, j])
    return float(low + b * (high - low))


@njit(cache=True)
def _height_within(u: float, v: float, heights: FloatArray) -> float:
    """Return the height at column ``u`` and row ``v`` as :func:`height_at`, which are inside."""
    j, i = int(u), int(v)
    a, b = u - j, v - i
    low = heights[i, j] + a * (heights[i, j + 1] - heights[i, j])
    high = heights[i + 1, j] + a * (heights[i + 1, j + 1] - heights[i + 1, j])
    return float(low + b * (high - low))


@njit(cache=True)
def _tile_exit(position: float, direction: float, side: float) -> float:
    """Return how far a ray goes until it leaves its tile along one axis."""
    if abs(direction) < 1e-9:
        return 1e9
    index = math.floor(position / side)
    edge = (index + 1) * side if direction > 0 else index * side
    return float(max((edge - position) / direction, 0.0))


@njit(cache=True)
def _refined(origin, direction, bracket, heights, frame, bump):  # type: ignore[no-untyped-def]
    """Return where a ray meets the surface between (t, t, gap >= 0, gap < 0); Illinois method."""
    low, high, above, below = bracket
    if above <= 0:
        return low
    side = 0
    for _ in range(REFINEMENTS):
        t = (low * below - high * above) / (below - above)
        x, y = origin[0] + t * direction[0], origin[1] + t * direction[1]
        gap = origin[2] + t * direction[2] - height_at(x, y, heights, frame) - bump
        if abs(gap) < TOLERANCE:
            break
        if gap < 0:
            high, below = t, gap
            above *= 0.5 if side < 0 else 1.0
            side = -1
        else:
            low, above = t, gap
            below *= 0.5 if side > 0 else 1.0
            side = 1
    return t


@njit(cache=True)
def first_hit(  # type: ignore[no-untyped-def]
    origin, direction, start, limit, heights, blocks, peak, frame, bump
):
    """Return the distance at which a ray goes below heights + bump; -1: not within ``limit``.

    ``peak`` is the highest of all nodes. The ray is known to be free up to ``start``; should it be
    below the surface there, the search begins anew at the sensor.
    """
    ox, oy, oz = origin
    dx, dy, dz = direction
    x0, y0, cell = frame
    side, per_cell = TILE * cell, 1.0 / cell
    along = math.sqrt(dx * dx + dy * dy)
    step = STRIDE * cell / max(along, 0.1)
    t = start
    if t > 0 and oz + t * dz < height_at(ox + t * dx, oy + t * dy, heights, frame) + bump:
        t = 0.0
    while t < limit:
        z = oz + t * dz
        if dz >= 0 and z > peak + bump:
            return -1.0
        u, v = ox + t * dx - x0, oy + t * dy - y0
        end = t + min(_tile_exit(u, dx, side), _tile_exit(v, dy, side)) + 1e-6
        i = min(max(math.floor(v / side), 0), blocks.shape[0] - 1)
        j = min(max(math.floor(u / side), 0), blocks.shape[1] - 1)
        if min(z, oz + end * dz) > blocks[i, j, 0] + bump:
            t = end
            continue
        per_gap = 1.0 / max(blocks[i, j, 1] * along - dz, 1e-6)
        within = u > side and v > side and i < blocks.shape[0] - 2 and j < blocks.shape[1] - 2
        gap = z - height_at(ox + t * dx, oy + t * dy, heights, frame) - bump
        while t < end:
            after = min(t + max(step, gap * per_gap), end)
            x, y = ox + after * dx, oy + after * dy
            if within:
                below = _height_within((x - x0) * per_cell, (y - y0) * per_cell, heights)
            else:
                below = height_at(x, y, heights, frame)
            below = oz + after * dz - below - bump
            if below < 0:
                return _refined(origin, direction, (t, after, gap, below), heights, frame, bump)
            t, gap = after, below
    return -1.0


@njit(cache=True)
def _incidence(x, y, direction, heights, frame):  # type: ignore[no-untyped-def]
    """Return the cosine between a ray and its cell's mean normal, at least 0.02."""
    j = min(max(int((x - frame[0]) / frame[2]), 0), heights.shape[1] - 2)
    i = min(max(int((y - frame[1]) / frame[2]), 0), heights.shape[0] - 2)
    rise, twist = heights[i + 1, j + 1] - heights[i, j], heights[i, j + 1] - heights[i + 1, j]
    gx, gy = (rise + twist) / (2 * frame[2]), (rise - twist) / (2 * frame[2])
    along = gx * direction[0] + gy * direction[1] - direction[2]
    return max(along / math.sqrt(1.0 + gx * gx + gy * gy), 0.02)


@njit(cache=True)
def _columns_of(offsets: FloatArray) -> npt.NDArray[np.int64]:
    """Return for each beam the first one with the same azimuth: those lie in one plane."""
    first = np.arange(len(offsets))
    for beam in range(len(offsets)):
        for earlier in range(beam):
            if offsets[earlier] == offsets[beam]:
                first[beam] = earlier
                break
    return first


@njit(cache=True)
def cast_height_field(  # type: ignore[no-untyped-def]
    matrix, field, roughness, elevations, offsets, phase, salt, ground, depth, part, cosine
):
    """Cast a revolution against a height field and keep hits nearer than ``depth``.

    Beams of one azimuth lie in a plane, in which the ground is a curve: what the lower beam passes
    over the higher one passes over, too. So each beam begins where the one below it has ended, and
    none above the first that misses is cast. ``depth`` has to be the same for all of a column.

    Args:
        matrix: (4, 4) sensor to world.
        field: (heights, blocks, frame) of a :class:`HeightField`.
        roughness: half the peak height of the texture, metres.
        elevations: (B,) beam elevations, ascending, radians.
        offsets: (B,) azimuth of each beam relative to its column, radians.
        phase: azimuth of the first column, radians.
        salt: seed of the texture.
        ground: what to write to ``part`` where the ground is hit.
        depth: (B, W) metres, the same in a column, changed in place.
        part: (B, W) int32, changed in place.
        cosine: (B, W) cosine of incidence, changed in place.
    """
    heights, blocks, frame = field
    peak = blocks[:, :, 0].max()
    width = depth.shape[1]
    groups = _columns_of(offsets)
    free = np.zeros(len(offsets))
    origin = (matrix[0, 3], matrix[1, 3], matrix[2, 3])
    flat, up = np.cos(elevations), np.sin(elevations)
    cos_offset, sin_offset = np.cos(offsets), np.sin(offsets)
    for j in range(width):
        angle = phase + j * (2 * math.pi / width)
        cos_azimuth, sin_azimuth = math.cos(angle), math.sin(angle)
        free[:] = 0.0
        for beam in range(len(elevations)):
            group = groups[beam]
            if free[group] < 0:
                continue
            sx = flat[beam] * (cos_azimuth * cos_offset[beam] - sin_azimuth * sin_offset[beam])
            sy = flat[beam] * (sin_azimuth * cos_offset[beam] + cos_azimuth * sin_offset[beam])
            sz = up[beam]
            direction = (
                matrix[0, 0] * sx + matrix[0, 1] * sy + matrix[0, 2] * sz,
                matrix[1, 0] * sx + matrix[1, 1] * sy + matrix[1, 2] * sz,
                matrix[2, 0] * sx + matrix[2, 1] * sy + matrix[2, 2] * sz,
            )
            bump = roughness * (uniform(beam, j, 7, salt) + uniform(beam, j, 8, salt) - 1.0)
            start = max(free[group] / flat[beam] - BACKSTEP, 0.0)
            limit = depth[beam, j]
            t = first_hit(origin, direction, start, limit, heights, blocks, peak, frame, bump)
            if t < 0:
                free[group] = -1.0
                continue
            free[group] = t * flat[beam]
            if t > 0:
                x, y = origin[0] + t * direction[0], origin[1] + t * direction[1]
                depth[beam, j], part[beam, j] = t, ground
                cosine[beam, j] = _incidence(x, y, direction, heights, frame)
