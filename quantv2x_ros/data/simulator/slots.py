# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parking slots beside a road."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.paths import Path

#: x, y in metres and yaw in radians.
Place = tuple[float, float, float]


def kerbside(
    rng: np.random.Generator, slots: list[Place], line: Path, half: float
) -> tuple[list[Place], float]:
    """Add parallel parking on the left of ``line``; return slots and the kerb's offset."""
    if rng.random() < 0.45:
        return slots, half
    strip, heading = line.offset(half + 1.15), np.pi
    for s in np.arange(30.0, strip.length - 30, rng.uniform(5.8, 6.8)):
        x, y = strip.position(s)
        slots.append((float(x), float(y), strip.heading(s) + heading))
    return slots, half + 2.3


def forecourt(rng: np.random.Generator, line: Path, offset: float) -> list[Place]:
    """Return a parked row at right angles to the road, behind the sidewalk."""
    start = rng.uniform(70, line.length - 120)
    row = line.offset(offset + 3.2)
    places = []
    for s in np.arange(start, start + rng.uniform(20, 50), rng.uniform(2.5, 2.9)):
        x, y = row.position(s)
        places.append((float(x), float(y), row.heading(s) + np.pi / 2))
    return places
