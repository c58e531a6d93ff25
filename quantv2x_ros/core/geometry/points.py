# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points of a cloud, seen from another frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Float32 = npt.NDArray[np.float32]


def moved_points(
    points: Float32, turn: npt.NDArray[np.floating], shift: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> Float32:
    """Return points as another frame sees them, in one pass and with the same bits everywhere.

    Args:
        points: (P, 3 or more) float32 x, y, z and what comes with them, which stays; not changed.
        turn: (3, 3) that x, y, z are multiplied with, rounded to float32.
        shift: (3,) that is added then, rounded to float32.
    """
    moved = np.empty_like(points, order="C")
    _move(points, np.asarray(turn, np.float32), np.asarray(shift, np.float32), moved)
    return moved


@njit(cache=True, nogil=True)
def _move(points: Float32, turn: Float32, shift: Float32, moved: Float32) -> None:
    """Write moved points."""
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for axis in range(3):
            moved[i, axis] = turn[axis, 0] * x + turn[axis, 1] * y + turn[axis, 2] * z + shift[axis]
        for k in range(3, points.shape[1]):
            moved[i, k] = points[i, k]
