# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things of many parts, collected one by one and made into one part set at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantv2x_ros.data.simulator.primitives import MAX_ROWS, PartSet, concatenate

Interval = tuple[float, float]
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


class Assembly:
    """Collects boxes and ellipsoids; much faster than joining single parts."""

    def __init__(self) -> None:
        self._boxes: list[tuple[float, ...]] = []
        self._balls: list[tuple[float, ...]] = []

    def box(
        self,
        center: Sequence[float],
        size: Sequence[float],
        yaw: float = 0.0,
        *,
        reflectivity: float = 0.3,
        porosity: float = 0.0,
    ) -> None:
        """Add a box of full ``size`` (l, w, h) metres, turned by ``yaw`` radians about z."""
        self._boxes.append((*center, *size, yaw, reflectivity, porosity))

    def block(
        self,
        x: Interval,
        y: Interval,
        z: Interval,
        *,
        reflectivity: float = 0.3,
        porosity: float = 0.0,
    ) -> None:
        """Add the box between two x, two y and two z, metres; nothing where one is empty."""
        size = (x[1] - x[0], y[1] - y[0], z[1] - z[0])
        if min(size) > 1e-3:
            center = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2)
            self.box(center, size, reflectivity=reflectivity, porosity=porosity)

    def post(
        self, x: float, y: float, height: float, width: float, *, reflectivity: float = 0.3
    ) -> None:
        """Add a square post from 0.3 m below the ground to ``height``, metres."""
        self.box((x, y, height / 2 - 0.15), (width, width, height + 0.3), reflectivity=reflectivity)

    def ellipsoid(
        self,
        center: Sequence[float],
        radii: Sequence[float],
        *,
        reflectivity: float = 0.4,
        porosity: float = 0.0,
    ) -> None:
        """Add an axis-aligned ellipsoid."""
        self._balls.append((*center, *radii, reflectivity, porosity))

    def extend(self, other: Assembly, shift: Sequence[float]) -> None:
        """Add all that another one holds, shifted by (x, y, z) metres."""
        x, y, z = shift
        self._boxes += [(r[0] + x, r[1] + y, r[2] + z, *r[3:]) for r in other._boxes]
        self._balls += [(r[0] + x, r[1] + y, r[2] + z, *r[3:]) for r in other._balls]

    def parts(self) -> PartSet:
        """Return everything added so far."""
        sets = []
        if self._boxes:
            sets.append(_boxes(np.array(self._boxes)))
        if self._balls:
            sets.append(_ellipsoids(np.array(self._balls)))
        return sets[0] if len(sets) == 1 else concatenate(sets)


def _boxes(table: np.ndarray) -> PartSet:
    """Return (K, 9) centre, size, yaw, reflectivity, porosity as parts."""
    count, center, half = len(table), table[:, :3], table[:, 3:6] / 2
    cosine, sine = np.cos(table[:, 6]), np.sin(table[:, 6])
    axes = np.zeros((count, 3, 3))  # row i is the box's axis i in the common frame
    axes[:, 0, 0], axes[:, 0, 1] = cosine, sine
    axes[:, 1, 0], axes[:, 1, 1] = -sine, cosine
    axes[:, 2, 2] = 1.0
    middle = np.einsum("kad,kd->ka", axes, center)
    rows = np.zeros((count, MAX_ROWS, 4))
    for k, sign in enumerate((-1.0, 1.0)):
        rows[:, k:6:2, :3] = sign * axes
        rows[:, k:6:2, 3] = -half - sign * middle
    corners = center[:, None] + np.einsum("sa,ka,kad->ksd", _SIGNS, half, axes)
    counts, glass = np.full(count, 6, np.int32), np.zeros(count, np.int32)
    return PartSet(rows, counts, corners, glass, table[:, 7].copy(), table[:, 8].copy())


def _ellipsoids(table: np.ndarray) -> PartSet:
    """Return (K, 8) centre, radii, reflectivity, porosity as parts."""
    count, center, radii = len(table), table[:, :3], table[:, 3:6]
    rows = np.zeros((count, MAX_ROWS, 4))
    rows[:, range(3), range(3)] = 1 / radii
    rows[:, :3, 3] = -center / radii
    corners = center[:, None] + _SIGNS * radii[:, None]
    none = np.zeros(count, np.int32)
    return PartSet(rows, none, corners, none.copy(), table[:, 6].copy(), table[:, 7].copy())
