# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kalman filters of objects that move at a constant velocity on the ground, many at once.

The state of each is x, y [m] and their velocities [m/s] in the map; what is measured is x, y. The
velocity changes by white acceleration (Bar-Shalom, Li and Kirubarajan, Estimation with Applications
to Tracking and Navigation, 2001, section 6.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def predicted(
    states: Float64, covariances: Float64, seconds: float, accelerations: Float64
) -> tuple[Float64, Float64]:
    """Return states and covariances after some time.

    Args:
        states: (N, 4) x, y, vx, vy.
        covariances: (N, 4, 4) theirs.
        seconds: the time, 0 or more.
        accelerations: (N,) density of the white acceleration, as the standard deviation [m/s^2] of
            what changes a velocity within a second.
    """
    step = np.eye(4)
    step[0, 2] = step[1, 3] = seconds
    noise = np.zeros((4, 4))
    for place in (0, 1):
        noise[place, place] = seconds**3 / 3
        noise[place, place + 2] = noise[place + 2, place] = seconds**2 / 2
        noise[place + 2, place + 2] = seconds
    return (
        states @ step.T,
        step @ covariances @ step.T + (accelerations**2)[:, None, None] * noise,
    )


def innovation_covariances(covariances: Float64, deviations: Float64) -> Float64:
    """Return the (N, 2, 2) covariances of what is measured against what is predicted.

    Args:
        covariances: (N, 4, 4) of the predicted states.
        deviations: (N,) standard deviation of a measured place in x and in y, metres.
    """
    return covariances[:, :2, :2] + (deviations**2)[:, None, None] * np.eye(2)


def updated(
    states: Float64, covariances: Float64, places: Float64, deviations: Float64
) -> tuple[Float64, Float64]:
    """Return states and covariances with what was measured of each.

    Args:
        states: (N, 4) predicted.
        covariances: (N, 4, 4) theirs.
        places: (N, 2) measured x, y.
        deviations: (N,) standard deviation of a measured place in x and in y, metres.
    """
    gains = covariances[:, :, :2] @ np.linalg.inv(innovation_covariances(covariances, deviations))
    change = gains @ (places - states[:, :2])[:, :, None]
    kept = np.eye(4) - np.concatenate([gains, np.zeros_like(gains)], axis=2)
    # Joseph's form stays symmetric and positive whatever rounding does
    noise = (deviations**2)[:, None, None] * (gains @ gains.transpose(0, 2, 1))
    return (
        states + change[:, :, 0],
        kept @ covariances @ kept.transpose(0, 2, 1) + noise,
    )
