# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands out from a front at y = 0 towards negative y: stoops, canopies, balconies."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.assembly import Assembly, Interval


def add_stoop(rng: np.random.Generator, plan: Assembly, x: float, width: float) -> None:
    """Add one to six steps up to a door at ``x``, with a landing and maybe railings."""
    steps, tread, rise = int(rng.integers(1, 7)), 0.28, float(rng.uniform(0.14, 0.19))
    landing = float(rng.uniform(0.0, 1.2))
    span = (x - width / 2, x + width / 2)
    for step in range(steps):
        out = landing + (step + 1) * tread
        plan.block(span, (-out, 0.0), (-0.5, (steps - step) * rise), reflectivity=0.35)
    if steps > 2 and rng.random() < 0.6:
        top, out = steps * rise + 0.9, landing + steps * tread
        for side in span:
            plan.box(
                (side, -out / 2, top - 0.45),
                (0.04, out, 0.9),
                porosity=float(rng.uniform(0.4, 0.8)),
            )
            plan.post(side, -out, top, 0.06)


def add_canopy(rng: np.random.Generator, plan: Assembly, x: Interval, height: float) -> None:
    """Add a canopy or an awning, which falls outwards in steps, with posts or without."""
    out = float(rng.uniform(0.7, 2.2))
    falls = float(rng.choice([0.0, rng.uniform(0.1, 0.35)]))
    pieces = 4 if falls else 1
    for piece in range(pieces):
        span = (-out * (piece + 1) / pieces, -out * piece / pieces)
        z = height - falls * out * (piece + 0.5) / pieces
        plan.block(x, span, (z, z + 0.1), reflectivity=0.4)
    if falls and rng.random() < 0.6:  # a valance
        z = height - falls * out
        plan.block(x, (-out - 0.02, -out), (z - 0.25, z), reflectivity=0.4)
    if rng.random() < 0.35:
        for side in (x[0] + 0.1, x[1] - 0.1):
            plan.post(side, -out + 0.1, height - falls * out, float(rng.uniform(0.05, 0.15)))


def add_balconies(rng: np.random.Generator, plan: Assembly, length: float, height: float) -> None:
    """Add a row of balconies on the first floor: slabs and railings, or solid fronts."""
    floor, out = float(rng.uniform(2.7, 3.6)), float(rng.uniform(0.7, 1.7))
    if floor + 1.2 > height:
        return
    width, pitch = float(rng.uniform(1.5, 4.0)), float(rng.uniform(4.0, 8.0))
    solid = rng.random() < 0.3
    for x in np.arange(-length / 2 + pitch / 2, length / 2 - width / 2, max(pitch, width + 0.3)):
        span = (float(x) - width / 2, float(x) + width / 2)
        plan.block(span, (-out, 0.0), (floor, floor + 0.18), reflectivity=0.35)
        share = 0.0 if solid else float(rng.uniform(0.4, 0.8))
        rail = (floor + 0.18, floor + 1.15)
        plan.block(span, (-out, -out + 0.05), rail, porosity=share)
        for side in span:
            plan.block((side - 0.02, side + 0.02), (-out, 0.0), rail, porosity=share)
