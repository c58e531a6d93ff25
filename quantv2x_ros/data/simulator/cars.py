# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cars, and which of them a place has."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, profile
from quantv2x_ros.data.simulator.shape import Shape, Size, paint, wheels

#: By kind: smallest and largest length, width with mirrors and height, metres; and the cabin's
#: rear base, rear top, front top and front base, as shares of half the length.
_KINDS: dict[str, tuple[Size, Size, tuple[float, float, float, float]]] = {
    "city": ((3.2, 1.6, 1.42), (4.0, 1.86, 1.65), (-0.96, -0.84, 0.2, 0.6)),
    "hatchback": ((3.7, 1.75, 1.42), (4.4, 2.0, 1.6), (-0.95, -0.8, 0.12, 0.5)),
    "sedan": ((4.2, 1.85, 1.38), (5.0, 2.1, 1.52), (-0.72, -0.42, 0.12, 0.42)),
    "estate": ((4.4, 1.85, 1.42), (5.0, 2.1, 1.6), (-0.96, -0.82, 0.1, 0.44)),
    "suv": ((4.1, 1.9, 1.6), (5.1, 2.2, 1.95), (-0.96, -0.84, 0.16, 0.45)),
    "minivan": ((4.2, 1.85, 1.6), (5.1, 2.1, 1.9), (-0.97, -0.88, 0.25, 0.68)),
    "pickup": ((5.0, 1.95, 1.7), (6.1, 2.3, 2.0), (-0.15, -0.1, 0.28, 0.5)),
    "limousine": ((5.6, 1.95, 1.5), (7.0, 2.2, 2.0), (-0.85, -0.7, 0.4, 0.6)),
}
CAR_KINDS = tuple(_KINDS)
#: Shares of the kinds above, by market.
MARKETS: dict[str, tuple[float, ...]] = {
    "small": (0.62, 0.26, 0.04, 0.03, 0.02, 0.03, 0.0, 0.0),
    "compact": (0.3, 0.34, 0.1, 0.1, 0.08, 0.06, 0.01, 0.01),
    "mixed": (0.14, 0.22, 0.26, 0.1, 0.18, 0.06, 0.03, 0.01),
    "large": (0.02, 0.1, 0.33, 0.08, 0.32, 0.05, 0.08, 0.02),
}


def _car_body(
    rng: np.random.Generator, size: Size, belt: float, cabin: tuple[float, float, float, float]
) -> list[PartSet]:
    """Hull, greenhouse, seats, mirrors and wheels of a car.

    Args:
        rng: paint and ride height.
        size: full sizes, metres.
        belt: height of the window line as a share of the height.
        cabin: x of rear base, rear top, front top and front base, as shares of half the length.
    """
    length, width, height = size
    half, bottom = length / 2, -height / 2
    colour, clearance = paint(rng), rng.uniform(0.18, 0.32) * height / 1.5
    belt_z, body_width = bottom + belt * height, width * 0.92
    hood = belt_z - rng.uniform(0.04, 0.16) * height
    nose = bottom + clearance + 0.45 * (hood - bottom - clearance)
    rear_base, rear_top, front_top, front_base = (c * half for c in cabin)
    hull = profile(
        [
            (-half * 0.97, bottom + clearance),
            (half * 0.95, bottom + clearance),
            (half, nose),
            (half * 0.94, hood),
            (min(front_base + 0.15, half * 0.9), belt_z),
            (-half * 0.98, belt_z),
            (-half, nose),
        ],
        body_width,
        body_width * 0.97,
        reflectivity=colour,
    )
    greenhouse = profile(
        [
            (rear_base, belt_z - 0.01),
            (front_base, belt_z - 0.01),
            (front_top, height / 2 - 0.05),
            (front_top - 0.25, height / 2),
            (rear_top + 0.25, height / 2),
            (rear_top, height / 2 - 0.05),
        ],
        body_width * 0.96,
        body_width * 0.76,
        glass_edges=(1, 5),
        glass_sides=True,
        reflectivity=colour,
    )
    top = bottom + 0.82 * height
    seats = [
        box(
            (rear_base + share * (front_base - rear_base), 0, (belt_z + top) / 2),
            (0.25, body_width * 0.7, top - belt_z),
            reflectivity=0.12,
        )
        for share in (0.3, 0.6)
    ]
    mirrors = [
        box(
            (front_base - 0.35, side * (width / 2 - 0.1), belt_z + 0.05),
            (0.14, 0.2, 0.14),
            reflectivity=colour,
        )
        for side in (-1, 1)
    ]
    radius = float(rng.uniform(0.29, 0.36))
    return [hull, greenhouse, *seats, *mirrors, *wheels(size, [-0.6, 0.62], radius, 0.22)]


def car(rng: np.random.Generator, *, market: str = "mixed", agent: bool = False) -> Shape:
    """Return a car of one of ``CAR_KINDS``.

    Args:
        rng: source of randomness.
        market: which cars are common, a key of ``MARKETS``.
        agent: whether it carries a sensor: then every other one is a SUV.
    """
    shares = MARKETS[market]
    kind = "suv" if agent and rng.random() < 0.5 else str(rng.choice(CAR_KINDS, p=shares))
    low, high, cabin = _KINDS[kind]
    scale = float(rng.uniform())  # long cars are wide, too
    own = rng.uniform(0, 1, 3) * (0.4, 0.4, 1.0) + scale * np.array([0.6, 0.6, 0.0])
    length, width, height = (float(a + t * (b - a)) for a, b, t in zip(low, high, own, strict=True))
    shift = float(rng.uniform(-0.05, 0.05))
    cabin = (cabin[0], cabin[1], cabin[2] + shift, cabin[3] + shift)
    belt = float(rng.uniform(0.56, 0.64))
    parts = _car_body(rng, (length, width, height), belt, cabin)
    obj_type = "LongVehicle" if length > 5.4 else ("PoliceCar" if rng.random() < 0.01 else "Car")
    return Shape(obj_type, (length, width, height), concatenate(parts))
