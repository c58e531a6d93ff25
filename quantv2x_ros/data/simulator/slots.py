# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parking slots beside a road."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.paths import Path

#: x, y in metres and yaw in radians.
Place = tuple[float, float, float]
#: From the outer edge of a sidewalk's width to the row behind it, metres.
FRONTAGE = 1.2
#: Width of a driveway between what lines it, metres.
DRIVEWAY_WIDTH = 3.0


def kerbside(
    rng: np.random.Generator, slots: list[Place], line: Path, half: float
) -> tuple[list[Place], float]:
    """Add parking on the left of ``line``; return slots and the kerb's offset.

    Cars stand bumper to bumper, side by side at right angles, or slanted.
    """
    draw = rng.random()
    if draw < 0.35:
        return slots, half
    if draw < 0.8:
        turn, depth, pitch = np.pi, 2.3, float(rng.uniform(4.6, 6.6))
    elif draw < 0.92:
        turn, depth, pitch = np.pi / 2, 5.2, float(rng.uniform(2.25, 2.8))
    else:
        turn, depth, pitch = float(rng.uniform(0.7, 1.1)), 5.0, float(rng.uniform(2.9, 3.6))
    strip = line.offset(half + depth / 2)
    for s in np.arange(30.0, strip.length - 30, pitch):
        x, y = strip.position(s)
        slots.append((float(x), float(y), strip.heading(s) + turn))
    return slots, half + depth


def forecourt(rng: np.random.Generator, line: Path, offset: float) -> list[Place]:
    """Return a parked row at right angles to the road, behind the sidewalk."""
    start = rng.uniform(70, line.length - 120)
    row = line.offset(offset + 3.2)
    places = []
    for s in np.arange(start, start + rng.uniform(20, 50), rng.uniform(2.25, 2.9)):
        x, y = row.position(s)
        places.append((float(x), float(y), row.heading(s) + np.pi / 2))
    return places


def driveways(
    rng: np.random.Generator, line: Path, offset: float
) -> tuple[list[Place], tuple[float, ...]]:
    """Return slots in driveways behind the sidewalk, and where these lie along the frontage.

    Args:
        rng: source of randomness.
        line: the road's axis.
        offset: of the sidewalk's outer edge from it, metres.

    Returns:
        Slots, and arc lengths of the driveways along ``line`` offset to the frontage, metres.
    """
    row = line.offset(offset + FRONTAGE)
    at, s = [], float(rng.uniform(40, 70))
    while s < row.length - 40:
        at.append(s)
        s += DRIVEWAY_WIDTH + float(rng.uniform(5, 25))
    places = []
    for s in at:
        x, y = row.position(s)
        heading, away = row.heading(s), float(rng.uniform(2.6, 4.2))
        x, y = x - away * np.sin(heading), y + away * np.cos(heading)
        places.append((float(x), float(y), heading + float(rng.choice([-1, 1])) * np.pi / 2))
    return places, tuple(at)
