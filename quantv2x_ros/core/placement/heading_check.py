# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a vehicle moves the way that its x axis points: a car does not drive sideways."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import extrinsics_matrix
from quantv2x_ros.core.placement.cloud_placement import PlacementRemedy

Float64 = npt.NDArray[np.float64]

#: Way between two poses that are compared, metres: noise of positions turns it little.
STEP = 4.0
#: Steps that must agree until something is said: of driving sideways, and of driving backwards,
#: which cars do for a while.
SIDEWAYS_STEPS, BACKWARD_STEPS = 4, 15
#: Angles between way and x axis from which on it is sideways, and backwards, radians; and how much
#: steps that agree differ.
_SIDEWAYS, _BACKWARDS = np.radians(35.0), np.radians(145.0)
_SAME = np.radians(20.0)
#: A step over which the frame turns more says little [rad]; one longer than this is a jump [m].
_MOST_TURN = np.radians(25.0)
_MOST_STEP = 3.0 * STEP
#: So close to a right angle it is taken for one, degrees.
_NEAR_QUARTER = 15.0


class HeadingCheck:
    """Compares the way of a station's frame with its x axis."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._last: Float64 | None = None
        self._angles: deque[float] = deque(maxlen=BACKWARD_STEPS)

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._last = None
        self._angles.clear()

    def move(self, pose: Float64) -> None:
        """Take the next pose (4, 4) of the frame that the model sees clouds in."""
        if self._last is None:
            self._last = pose
            return
        way = pose[:2, 3] - self._last[:2, 3]
        length = float(np.hypot(*way))
        if length < STEP:
            return
        start, end = (float(np.arctan2(p[1, 0], p[0, 0])) for p in (self._last, pose))
        turned = _wrapped(end - start)
        self._last = pose
        if length > _MOST_STEP or abs(turned) > _MOST_TURN:
            return
        angle = _wrapped(float(np.arctan2(way[1], way[0])) - start - turned / 2.0)
        if self._angles and abs(_wrapped(angle - self._angles[-1])) > _SAME:
            self._angles.clear()
        self._angles.append(angle)

    def fault(self, remedy: PlacementRemedy) -> str:
        """Say by how much the frame seems to be turned; empty where it is not."""
        steps = len(self._angles)
        if steps < SIDEWAYS_STEPS:
            return ""
        newest = self._angles[-1]
        angle = _wrapped(newest + float(np.mean([_wrapped(a - newest) for a in self._angles])))
        if abs(angle) < _SIDEWAYS or (abs(angle) > _BACKWARDS and steps < BACKWARD_STEPS):
            return ""
        degrees = float(np.degrees(angle))
        quarter = 90.0 * round(degrees / 90.0)
        degrees = quarter if abs(degrees - quarter) <= _NEAR_QUARTER else round(degrees)
        turn = extrinsics_matrix([0.0, 0.0, 0.0, 0.0, 0.0, degrees])
        side = "left" if angle > 0.0 else "right"
        return (
            f"the station moves {abs(np.degrees(angle)):.0f}° to the {side} of its x axis, {steps} "
            f"times {STEP:g} m long, where 0° is expected of a vehicle (x forward, y left); set "
            f"{remedy.setting(turn)}, or correct the orientation of its poses"
        )


def _wrapped(angle: float) -> float:
    """Return an angle in [-pi, pi), radians."""
    return float((angle + np.pi) % (2.0 * np.pi) - np.pi)
