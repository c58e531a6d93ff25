# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths along which things move or stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """A polyline with arc length.

    Attributes:
        points: (M, 2) float64, M >= 2, metres.
    """

    points: FloatArray

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2 or len(self.points) < 2:
            raise ValueError(f"Path.points is {self.points.shape}, expected (M >= 2, 2)")

    @cached_property
    def arc(self) -> FloatArray:
        """(M,) distance of each point from the start along the path, metres."""
        steps = np.hypot(*np.diff(self.points, axis=0).T)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @cached_property
    def _x(self) -> FloatArray:
        return np.ascontiguousarray(self.points[:, 0])

    @cached_property
    def _y(self) -> FloatArray:
        return np.ascontiguousarray(self.points[:, 1])

    @property
    def length(self) -> float:
        """Length in metres."""
        return float(self.arc[-1])

    def position(self, s: float | FloatArray) -> FloatArray:
        """Return (..., 2) positions at arc lengths ``s``, clamped to the path."""
        places = np.empty((*np.shape(s), 2))
        places[..., 0] = np.interp(s, self.arc, self._x)
        places[..., 1] = np.interp(s, self.arc, self._y)
        return places

    def heading(self, s: float) -> float:
        """Return the heading at ``s`` in radians, taken over 2 m so that corners are smooth."""
        low, high = max(s - 1.0, 0.0), min(s + 1.0, self.length)
        delta = self.position(high) - self.position(low)
        return float(np.arctan2(delta[1], delta[0]))

    def offset(self, distance: float) -> Path:
        """Return the path ``distance`` metres to the left."""
        tangent = np.gradient(self.points, axis=0)
        tangent /= np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
        return Path(self.points + distance * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1))

    def reversed(self) -> Path:
        """Return the path walked from its end to its start."""
        return Path(self.points[::-1].copy())


def straight(start: Sequence[float] | FloatArray, end: Sequence[float] | FloatArray) -> Path:
    """Return a straight path sampled about every 2 m."""
    start_array, end_array = np.asarray(start, float), np.asarray(end, float)
    count = max(2, int(np.hypot(*(end_array - start_array)) / 2) + 1)
    share = np.linspace(0, 1, count)[:, None]
    return Path(start_array + share * (end_array - start_array))


def curve(length: float, curvature: float) -> Path:
    """Return an arc of given curvature (1/m), centred on and tangent to the x axis at 0."""
    s = np.linspace(-length / 2, length / 2, int(length / 2) + 1)
    if abs(curvature) < 1e-9:
        return Path(np.stack([s, np.zeros_like(s)], axis=1))
    angle = s * curvature
    return Path(np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1) / curvature)


def turn(entry: Path, exit_path: Path) -> Path:
    """Join two straight paths by a quadratic bend around where their lines cross."""
    start, end = entry.points[-1], exit_path.points[0]
    direction_in = entry.points[-1] - entry.points[-2]
    direction_out = exit_path.points[1] - exit_path.points[0]
    matrix = np.stack([direction_in, -direction_out], axis=1)
    if abs(np.linalg.det(matrix)) < 1e-6:
        return Path(np.concatenate([entry.points, exit_path.points]))
    corner = start + direction_in * np.linalg.solve(matrix, end - start)[0]
    t = np.linspace(0, 1, 12)[1:-1, None]
    bend = (1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end
    return Path(np.concatenate([entry.points, bend, exit_path.points]))
