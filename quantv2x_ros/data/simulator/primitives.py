# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Convex parts from which every object of a simulated scene is made.

A part is a convex polyhedron (half-spaces) or an ellipsoid. Both are stored as rows
``(a_x, a_y, a_z, b)``: a point p lies in a polyhedron where a.p + b <= 0 for every row, and in an
ellipsoid where the sum of (a.p + b)^2 over its three rows is at most 1. The same rule moves both
kinds of row into another frame, so the ray caster needs no case for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_ROWS = 10
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PartSet:
    """Convex parts in one common frame.

    Attributes:
        rows: (K, MAX_ROWS, 4) float64, half-spaces with unit normals or ellipsoid rows.
        counts: (K,) int32, number of half-spaces; 0 marks an ellipsoid.
        corners: (K, 8, 3) float64, an oriented bounding box; index = 4 ix + 2 iy + iz.
        glass: (K,) int32, bit i is set where half-space i is a window.
        reflectivity: (K,) float64 in (0, 1].
        porosity: (K,) float64 in [0, 1), the share of rays that pass the shortest edge of the
            bounding box (foliage, fences); 0 is solid.
    """

    rows: FloatArray
    counts: npt.NDArray[np.int32]
    corners: FloatArray
    glass: npt.NDArray[np.int32]
    reflectivity: FloatArray
    porosity: FloatArray

    def __post_init__(self) -> None:
        count = len(self.counts)
        shapes = {
            "rows": (self.rows.shape, (count, MAX_ROWS, 4)),
            "corners": (self.corners.shape, (count, 8, 3)),
            "glass": (self.glass.shape, (count,)),
            "reflectivity": (self.reflectivity.shape, (count,)),
            "porosity": (self.porosity.shape, (count,)),
        }
        for name, (got, expected) in shapes.items():
            if got != expected:
                raise ValueError(f"PartSet.{name} has shape {got}, expected {expected}")

    def __len__(self) -> int:
        return len(self.counts)

    def transformed(self, matrix: FloatArray) -> PartSet:
        """Return the same parts in the frame that ``matrix`` (4, 4, rigid) maps to."""
        rotation, translation = matrix[:3, :3], matrix[:3, 3]
        rows = np.empty_like(self.rows)
        rows[..., :3] = self.rows[..., :3] @ rotation.T
        rows[..., 3] = self.rows[..., 3] - rows[..., :3] @ translation
        return PartSet(
            rows,
            self.counts,
            self.corners @ rotation.T + translation,
            self.glass,
            self.reflectivity,
            self.porosity,
        )

    def select(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> PartSet:
        """Return some of the parts, by mask or index."""
        return PartSet(
            self.rows[chosen],
            self.counts[chosen],
            self.corners[chosen],
            self.glass[chosen],
            self.reflectivity[chosen],
            self.porosity[chosen],
        )

    def contains(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """Return (P,) whether each of (P, 3) points lies in any part."""
        values = np.einsum("kra,pa->pkr", self.rows[..., :3], points) + self.rows[..., 3]
        used = np.arange(MAX_ROWS) < self.counts[:, None]
        polyhedron = np.all((values <= 0) | ~used, axis=2) & (self.counts > 0)
        quadric = (np.sum(values[..., :3] ** 2, axis=2) <= 1) & (self.counts == 0)
        return np.asarray((polyhedron | quadric).any(axis=1))


def concatenate(sets: Sequence[PartSet]) -> PartSet:
    """Join part sets that share a frame; an empty sequence gives an empty set."""
    if not sets:
        return PartSet(
            np.zeros((0, MAX_ROWS, 4)),
            np.zeros(0, np.int32),
            np.zeros((0, 8, 3)),
            np.zeros(0, np.int32),
            np.zeros(0),
            np.zeros(0),
        )
    return PartSet(
        np.concatenate([s.rows for s in sets]),
        np.concatenate([s.counts for s in sets]),
        np.concatenate([s.corners for s in sets]),
        np.concatenate([s.glass for s in sets]),
        np.concatenate([s.reflectivity for s in sets]),
        np.concatenate([s.porosity for s in sets]),
    )


def _corners(center: FloatArray, half: FloatArray) -> FloatArray:
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return center + signs * half


def _single(
    rows: FloatArray,
    count: int,
    corners: FloatArray,
    glass: int,
    reflectivity: float,
    porosity: float,
) -> PartSet:
    padded = np.zeros((1, MAX_ROWS, 4))
    padded[0, : len(rows)] = rows
    return PartSet(
        padded,
        np.array([count], np.int32),
        corners[None],
        np.array([glass], np.int32),
        np.array([reflectivity], float),
        np.array([porosity], float),
    )


def box(
    center: Sequence[float],
    size: Sequence[float],
    yaw: float = 0.0,
    *,
    reflectivity: float = 0.3,
    porosity: float = 0.0,
) -> PartSet:
    """Return a box of full ``size`` (l, w, h) metres, turned by ``yaw`` radians about z."""
    half = np.asarray(size, float) / 2
    rows = np.zeros((6, 4))
    for axis in range(3):
        for k, sign in enumerate((-1.0, 1.0)):
            rows[2 * axis + k, axis] = sign
            rows[2 * axis + k, 3] = -half[axis]
    corners = _corners(np.zeros(3), half)
    part = _single(rows, 6, corners, 0, reflectivity, porosity)
    return part.transformed(_placement(center, yaw))


def ellipsoid(
    center: Sequence[float],
    radii: Sequence[float],
    *,
    reflectivity: float = 0.4,
    porosity: float = 0.0,
) -> PartSet:
    """Return an axis-aligned ellipsoid; a porous one returns points from all of its depth."""
    radii_array, center_array = np.asarray(radii, float), np.asarray(center, float)
    rows = np.zeros((3, 4))
    rows[:, :3] = np.diag(1 / radii_array)
    rows[:, 3] = -center_array / radii_array
    return _single(rows, 0, _corners(center_array, radii_array), 0, reflectivity, porosity)


def profile(
    outline: Sequence[tuple[float, float]],
    width_bottom: float,
    width_top: float,
    *,
    glass_edges: Sequence[int] = (),
    glass_sides: bool = False,
    reflectivity: float = 0.3,
) -> PartSet:
    """Return a convex side view (x, z), extruded across y.

    Args:
        outline: convex polygon, counter-clockwise in the (x, z) plane, at most 8 points.
        width_bottom: full width at the outline's lowest z, metres.
        width_top: full width at its highest z; the sides lean linearly between both.
        glass_edges: indices of outline edges (edge i joins points i and i+1) that are windows.
        glass_sides: whether both side faces are windows.
        reflectivity: diffuse reflectivity in (0, 1].
    """
    points = np.asarray(outline, float)
    if len(points) > MAX_ROWS - 2:
        raise ValueError(f"outline has {len(points)} points, at most {MAX_ROWS - 2} are allowed")
    rows, glass = [], 0
    for i, point in enumerate(points):
        edge = points[(i + 1) % len(points)] - point
        normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
        rows.append([normal[0], 0.0, normal[1], -normal @ point])
        glass |= (1 << i) if i in glass_edges else 0
    low, high = points[:, 1].min(), points[:, 1].max()
    slope = (width_bottom - width_top) / 2 / (high - low)
    scale = np.hypot(1.0, slope)
    for sign in (-1.0, 1.0):
        glass |= (1 << len(rows)) if glass_sides else 0
        rows.append([0, sign / scale, slope / scale, -(width_bottom / 2 + slope * low) / scale])
    minimum, maximum = points.min(0), points.max(0)
    width = max(width_bottom, width_top)
    center = np.array([(minimum[0] + maximum[0]) / 2, 0.0, (low + high) / 2])
    half = np.array([(maximum[0] - minimum[0]) / 2, width / 2, (high - low) / 2])
    return _single(np.array(rows), len(rows), _corners(center, half), glass, reflectivity, 0.0)


def prism(
    center: Sequence[float],
    radius: float,
    length: float,
    axis: int = 2,
    *,
    reflectivity: float = 0.3,
    porosity: float = 0.0,
) -> PartSet:
    """Return an eight-sided cylinder along coordinate ``axis``, inscribed in ``radius``."""
    others = [i for i in range(3) if i != axis]
    rows = np.zeros((10, 4))
    apothem = radius * np.cos(np.pi / 8)
    for i in range(8):
        angle = i * np.pi / 4
        rows[i, others[0]], rows[i, others[1]] = np.cos(angle), np.sin(angle)
        rows[i, 3] = -apothem
    rows[8, axis], rows[9, axis] = -1.0, 1.0
    rows[8:, 3] = -length / 2
    half = np.full(3, apothem)
    half[axis] = length / 2
    part = _single(rows, 10, _corners(np.zeros(3), half), 0, reflectivity, porosity)
    return part.transformed(_placement(center, 0.0))


def _placement(center: Sequence[float], yaw: float) -> FloatArray:
    matrix = np.eye(4)
    cosine, sine = np.cos(yaw), np.sin(yaw)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:3, 3] = center
    return matrix
