# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rays in porous parts: meshes, glass, and leaves that grow in clumps.

A ray's way into a part is drawn as in a medium that absorbs. Leaves are denser in some cubes of
the part than in others; tentative hits that most likely fall between leaves are given up, and the
ray goes on (delta tracking, Woodcock et al. 1965).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.data.simulator.rays import uniform

FloatArray = npt.NDArray[np.float64]
#: Side of a cube of leaves, metres; parts thinner than half of it are even.
GRAIN = 0.3
#: Share of dense cubes, and the density of the others relative to them.
DENSE, THIN = 0.5, 0.25
TRIES = 12


@njit(cache=True)
def leaf_medium(  # type: ignore[no-untyped-def]
    rows, count, corners, porosity
):
    """Return a porous part's mean free path in its dense cubes, and its axes.

    Args:
        rows: (R, 4) of the part.
        count: of half-spaces; 0 marks an ellipsoid.
        corners: (8, 3) of its bounding box, metres.
        porosity: share that passes the shortest edge of the bounding box; 0 is solid.

    Returns:
        Metres, 0 for a solid part; (3, 4) unit rows that give a point's place in the part,
        metres, all zero for an even part.
    """
    axes = np.zeros((3, 4))
    if porosity <= 0:
        return 0.0, axes
    shortest = 1e9
    for i in (1, 2, 4):
        x = corners[i, 0] - corners[0, 0]
        y = corners[i, 1] - corners[0, 1]
        z = corners[i, 2] - corners[0, 2]
        shortest = min(shortest, math.sqrt(x * x + y * y + z * z))
    path = -shortest / math.log(porosity)
    if shortest < GRAIN / 2:
        return path, axes
    for i in range(3):
        row = rows[i] if count == 0 else rows[2 * i]
        axes[i] = row / math.sqrt(row[0] ** 2 + row[1] ** 2 + row[2] ** 2)
    return path * (DENSE + (1 - DENSE) * THIN), axes


@njit(cache=True)
def _cube(axes, i, t, dx, dy, dz):  # type: ignore[no-untyped-def]
    along = axes[i, 0] * dx + axes[i, 1] * dy + axes[i, 2] * dz
    return math.floor((along * t + axes[i, 3]) / GRAIN)


@njit(cache=True)
def enter_leaves(  # type: ignore[no-untyped-def]
    near, far, path, axes, direction, ray, salt
):
    """Return where a ray is stopped between ``near`` and ``far``; -1 where it passes.

    ``ray`` is (beam, column, part), the seeds of what is drawn. Cubes depend on the part alone,
    so that every sweep sees the same leaves.
    """
    dx, dy, dz = direction
    beam, column, part = ray
    t = near
    for trial in range(TRIES):
        t -= path * math.log(1.0 - uniform(beam, column, part, salt + 2 * trial))
        if t >= far:
            return -1.0
        if axes[0, 0] == 0 and axes[0, 1] == 0 and axes[0, 2] == 0:
            return t
        cube = uniform(
            _cube(axes, 0, t, dx, dy, dz),
            _cube(axes, 1, t, dx, dy, dz),
            _cube(axes, 2, t, dx, dy, dz),
            part,
        )
        if cube < DENSE or uniform(beam, column, part, salt + 2 * trial + 1) < THIN:
            return t
    return t
