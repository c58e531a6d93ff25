# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Casting the rays of a spinning LiDAR against convex parts and an undulating ground.

Every part is turned into the sensor's frame, where all rays start at the origin; only the rays in
its azimuth and elevation interval are tested, and the nearest hit of each ray is kept.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.data.simulator.foliage import enter_leaves, leaf_medium
from quantv2x_ros.data.simulator.heightfield import HeightField, cast_height_field
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.rays import (
    angular_bounds,
    enter_ellipsoid,
    enter_polyhedron,
    uniform,
)

FloatArray = npt.NDArray[np.float64]
NO_PART = -1
GROUND = -2
#: Share of rays that a window reflects; the others go on to what lies behind it.
GLASS_RETURN = 0.35
#: Least cosine of incidence in foliage, whose leaves face all ways.
LEAF_COSINE = 0.5


@njit(cache=True)
def _cast_part(  # type: ignore[no-untyped-def]
    k, rows, count, glass, medium, beams, columns, trig, salt, depth, part, cosine
):
    """Test the rays of one part's angular interval and keep the nearest hits."""
    width = depth.shape[1]
    elevations, offsets, first, last = beams
    low, high, phase, nearest = columns
    cos_azimuth, sin_azimuth = trig
    path, axes = medium
    step = 2 * math.pi / width
    for beam in range(first, last):
        cos_elevation, dz = math.cos(elevations[beam]), math.sin(elevations[beam])
        cos_offset, sin_offset = math.cos(offsets[beam]), math.sin(offsets[beam])
        start = math.ceil((low - offsets[beam] - phase) / step)
        stop = min(math.floor((high - offsets[beam] - phase) / step), start + width - 1)
        for index in range(start, stop + 1):
            j = index % width
            limit = depth[beam, j]
            if limit <= nearest:  # something stands in front of all of the part
                continue
            dx = cos_elevation * (cos_azimuth[j] * cos_offset - sin_azimuth[j] * sin_offset)
            dy = cos_elevation * (sin_azimuth[j] * cos_offset + cos_azimuth[j] * sin_offset)
            if count > 0:
                near, far, face, cos_in = enter_polyhedron(rows, count, dx, dy, dz, limit)
            else:
                near, far, face, cos_in = enter_ellipsoid(rows, dx, dy, dz, limit)
            if near < 0:
                continue
            if path > 0:  # leaves and meshes return from anywhere on the way through them
                near = enter_leaves(near, far, path, axes, (dx, dy, dz), (beam, j, k), salt)
                if near < 0:
                    continue
                cos_in = max(cos_in, LEAF_COSINE)
            elif (
                face >= 0
                and (glass >> face) & 1
                and uniform(beam, j, k, salt) > GLASS_RETURN  # the ray goes on behind the window
            ):
                continue
            depth[beam, j], part[beam, j], cosine[beam, j] = near, k, cos_in


@njit(cache=True)
def _cast(  # type: ignore[no-untyped-def]
    rows, counts, corners, glass, porosity, elevations, offsets, phase, salt, depth, part, cosine
):
    width = depth.shape[1]
    angles = phase + np.arange(width) * (2 * math.pi / width)
    trig = (np.cos(angles), np.sin(angles))
    limit = depth.max()
    bounds = np.empty((len(counts), 5))
    for k in range(len(counts)):
        bounds[k] = angular_bounds(corners[k])
    for k in np.argsort(bounds[:, 4]):  # near ones first: they hide the others
        low, high, elevation_low, elevation_high, near = bounds[k]
        if near > limit:
            break
        first = np.searchsorted(elevations, elevation_low - 1e-9)
        last = np.searchsorted(elevations, elevation_high + 1e-9)
        _cast_part(
            k,
            rows[k],
            counts[k],
            glass[k],
            leaf_medium(rows[k], counts[k], corners[k], porosity[k]),
            (elevations, offsets, first, last),
            (low, high, phase, near),
            trig,
            salt,
            depth,
            part,
            cosine,
        )


@njit(cache=True)
def ground_height(x: float, y: float, ground: FloatArray) -> float:
    """Return the ground's z at (x, y); rows of ``ground``: (z0, gx, gy, 0), then waves."""
    z = ground[0, 0] + ground[0, 1] * x + ground[0, 2] * y
    for i in range(1, ground.shape[0]):
        z += ground[i, 0] * math.sin(ground[i, 1] * x + ground[i, 2] * y + ground[i, 3])
    return z


@njit(cache=True)
def _cast_ground(  # type: ignore[no-untyped-def]
    matrix, ground, roughness, elevations, offsets, phase, salt, depth, part, cosine
):
    width = depth.shape[1]
    angles = phase + np.arange(width) * (2 * math.pi / width)
    cos_azimuth, sin_azimuth = np.cos(angles), np.sin(angles)
    ox, oy, oz = matrix[0, 3], matrix[1, 3], matrix[2, 3]
    base = ground_height(ox, oy, ground)
    for beam in range(len(elevations)):
        cos_elevation, sz = math.cos(elevations[beam]), math.sin(elevations[beam])
        cos_offset, sin_offset = math.cos(offsets[beam]), math.sin(offsets[beam])
        for j in range(width):
            sx = cos_elevation * (cos_azimuth[j] * cos_offset - sin_azimuth[j] * sin_offset)
            sy = cos_elevation * (sin_azimuth[j] * cos_offset + cos_azimuth[j] * sin_offset)
            dx = matrix[0, 0] * sx + matrix[0, 1] * sy + matrix[0, 2] * sz
            dy = matrix[1, 0] * sx + matrix[1, 1] * sy + matrix[1, 2] * sz
            dz = matrix[2, 0] * sx + matrix[2, 1] * sy + matrix[2, 2] * sz
            descent = ground[0, 1] * dx + ground[0, 2] * dy - dz
            if descent < 0.003:
                continue
            bump = roughness * (uniform(beam, j, 7, salt) + uniform(beam, j, 8, salt) - 1.0)
            t = (oz - base) / descent
            for _ in range(4):  # the waves are gentle: the slope of the plane is close enough
                t = min(t, 1000.0)
                error = oz + t * dz - ground_height(ox + t * dx, oy + t * dy, ground) - bump
                t += error / descent
            if 0.0 < t < depth[beam, j]:
                depth[beam, j], part[beam, j], cosine[beam, j] = t, GROUND, descent


def cast_sweep(
    parts: PartSet,
    sensor_to_world: FloatArray,
    ground: FloatArray,
    *,
    elevations: FloatArray,
    azimuth_offsets: FloatArray,
    columns: int,
    phase: float,
    max_range: float | FloatArray,
    roughness: float,
    salt: int,
    terrain: HeightField | None = None,
) -> tuple[FloatArray, npt.NDArray[np.int32], FloatArray]:
    """Cast one revolution and return the nearest hit of every ray.

    Args:
        parts: K parts in the world frame.
        sensor_to_world: (4, 4) rigid transform of the sensor.
        ground: (1 + waves, 4) parameters of :func:`ground_height`.
        elevations: (B,) beam elevations, ascending, radians.
        azimuth_offsets: (B,) azimuth of each beam relative to its column, radians.
        columns: number of azimuth steps W in a revolution.
        phase: azimuth of the first column, radians.
        max_range: metres, one of all columns or (W,) of each; 0 where nothing is cast.
        roughness: half the peak height of the ground's texture, metres.
        salt: seed of the per-ray randomness (windows, foliage, texture).
        terrain: the ground as a raster; then ``ground`` is not used.

    Returns:
        depth (B, W) in metres, the part index (B, W) (NO_PART, GROUND or 0..K-1), and the cosine
        of incidence (B, W).
    """
    shape = (len(elevations), columns)
    depth = np.empty(shape)
    depth[:] = max_range
    part = np.full(shape, NO_PART, np.int32)
    cosine = np.zeros(shape)
    rays = (roughness, elevations, azimuth_offsets, phase, salt)
    hits = (depth, part, cosine)
    if terrain is None:
        _cast_ground(sensor_to_world, ground, *rays, *hits)
    else:
        field = (terrain.heights, terrain.blocks, terrain.frame)
        cast_height_field(sensor_to_world, field, *rays, GROUND, *hits)
    local = parts.transformed(np.asarray(np.linalg.inv(sensor_to_world), np.float64))
    _cast(
        local.rows,
        local.counts,
        local.corners,
        local.glass,
        local.porosity,
        elevations,
        azimuth_offsets,
        phase,
        salt,
        depth,
        part,
        cosine,
    )
    return depth, part, cosine
