# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels: where a ray enters a part, and which rays can reach it at all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

FloatArray = npt.NDArray[np.float64]


@njit(cache=True)
def uniform(a: int, b: int, c: int, salt: int) -> float:
    """Hash three indices to a number in [0, 1): cheap, and independent of the order of parts."""
    h = np.uint32(a * 0x9E3779B1 + b * 0x85EBCA77 + c * 0xC2B2AE3D + salt * 0x27D4EB2F)
    h ^= h >> np.uint32(15)
    h = np.uint32(h * np.uint32(0x2C1B3C6D))
    h ^= h >> np.uint32(12)
    h = np.uint32(h * np.uint32(0x297A2D39))
    h ^= h >> np.uint32(15)
    return float(h) / 4294967296.0


@njit(cache=True)
def angular_bounds(corners: FloatArray) -> tuple[float, float, float, float, float]:
    """Bound a box seen from the origin: azimuth low, high, elevation low, high, distance."""
    center_x, center_y = corners[:, 0].mean(), corners[:, 1].mean()
    base = math.atan2(center_y, center_x)
    low, high, far = 0.0, 0.0, 0.0
    for i in range(8):
        delta = math.atan2(corners[i, 1], corners[i, 0]) - base
        if delta > math.pi:
            delta -= 2 * math.pi
        elif delta < -math.pi:
            delta += 2 * math.pi
        low, high = min(low, delta), max(high, delta)
        far = max(far, math.hypot(corners[i, 0], corners[i, 1]))
    z_low, z_high = corners[:, 2].min(), corners[:, 2].max()
    near = far
    for i in range(8):
        for bit in (1, 2, 4):
            if i & bit:
                continue
            ax, ay = corners[i, 0], corners[i, 1]
            dx, dy = corners[i | bit, 0] - ax, corners[i | bit, 1] - ay
            length = dx * dx + dy * dy
            t = 0.0 if length < 1e-12 else -(ax * dx + ay * dy) / length
            t = min(1.0, max(0.0, t))
            near = min(near, math.hypot(ax + t * dx, ay + t * dy))
    if high - low >= math.pi - 1e-6:  # the sensor is above, below or inside the part
        low, high, near = -math.pi, math.pi, 0.0
    elevation_low = math.atan2(z_low, near if z_low < 0 else far)
    elevation_high = math.atan2(z_high, near if z_high > 0 else far)
    return base + low, base + high, elevation_low, elevation_high, near


@njit(cache=True)
def enter_polyhedron(rows, count, dx, dy, dz, limit):  # type: ignore[no-untyped-def]
    """Return (entry, exit, entry face, cosine); entry < 0 where the ray misses."""
    near, far, face, cosine = 0.0, limit, -1, 0.0
    for i in range(count):
        along = rows[i, 0] * dx + rows[i, 1] * dy + rows[i, 2] * dz
        offset = rows[i, 3]
        if along < -1e-12:
            t = -offset / along
            if t > near:
                near, face, cosine = t, i, -along
        elif along > 1e-12:
            far = min(far, -offset / along)
        elif offset > 0:
            return -1.0, -1.0, -1, 0.0
        if near >= far:
            return -1.0, -1.0, -1, 0.0
    if face < 0:
        return -1.0, -1.0, -1, 0.0
    return near, far, face, cosine


@njit(cache=True)
def enter_ellipsoid(rows, dx, dy, dz, limit):  # type: ignore[no-untyped-def]
    """Return (entry, exit, -1, cosine) of the quadric; entry < 0 where the ray misses."""
    a, b, c = 0.0, 0.0, -1.0
    for i in range(3):
        u = rows[i, 0] * dx + rows[i, 1] * dy + rows[i, 2] * dz
        a += u * u
        b += u * rows[i, 3]
        c += rows[i, 3] * rows[i, 3]
    discriminant = b * b - a * c
    if discriminant <= 0 or c <= 0:
        return -1.0, -1.0, -1, 0.0
    root = math.sqrt(discriminant)
    near, far = (-b - root) / a, (-b + root) / a
    if near <= 0 or near >= limit:
        return -1.0, -1.0, -1, 0.0
    return near, min(far, limit), -1, min(1.0, root / math.sqrt(b * b + 1e-12) + 0.2)
