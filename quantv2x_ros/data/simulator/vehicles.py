# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""V2X-Real's truck class: vans, trucks, trailers, mixers, buses and containers."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, ellipsoid, profile
from quantv2x_ros.data.simulator.shape import Shape, Size, paint, wheels


def _van_size(rng: np.random.Generator) -> Size:
    """Draw a city van of the size of a car, or a larger one."""
    city, large = ((4.2, 1.85, 1.78), (4.9, 2.15, 2.0)), ((4.7, 2.0, 1.85), (6.6, 2.5, 2.7))
    smallest, largest = city if rng.random() < 0.3 else large
    length, width, height = (float(v) for v in rng.uniform(smallest, largest))
    return (length, width, height)


def van(rng: np.random.Generator) -> Shape:
    """Return a delivery van or minibus: one tall body with a short sloped nose."""
    length, width, height = _van_size(rng)
    half, bottom, colour = length / 2, -height / 2, paint(rng)
    clearance, body = bottom + rng.uniform(0.22, 0.35), width * 0.92
    hood = bottom + rng.uniform(0.45, 0.55) * height
    hull = profile(
        [
            (-half, clearance),
            (half * 0.98, clearance),
            (half, bottom + 0.3 * height),
            (half * 0.95, hood),
            (half * 0.55, height / 2 - 0.06),
            (half * 0.45, height / 2),
            (-half * 0.98, height / 2),
        ],
        body,
        body * 0.88,
        glass_edges=(3,),
        reflectivity=colour,
    )
    mirrors = [
        box((half * 0.7, s * (width / 2 - 0.1), hood + 0.1), (0.15, 0.2, 0.28)) for s in (-1, 1)
    ]
    axles = wheels((length, width, height), [-0.6, 0.66], 0.34, 0.24)
    return Shape("Van", (length, width, height), concatenate([hull, *mirrors, *axles]))


def _cab(size: Size, cab_length: float, cab_height: float, colour: float) -> list[PartSet]:
    length, width, height = size
    front, bottom = length / 2, -height / 2
    top = bottom + cab_height
    cab = profile(
        [
            (front - cab_length, bottom + 0.45),
            (front, bottom + 0.45),
            (front, bottom + 0.5 * cab_height),
            (front - 0.18, top - 0.1),
            (front - 0.4, top),
            (front - cab_length, top),
        ],
        width * 0.92,
        width * 0.88,
        glass_edges=(2,),
        reflectivity=colour,
    )
    mirrors = [
        box((front - 0.35, s * (width / 2 - 0.09), bottom + 0.7 * cab_height), (0.15, 0.18, 0.5))
        for s in (-1, 1)
    ]
    return [cab, *mirrors]


def truck(rng: np.random.Generator) -> Shape:
    """Return a rigid truck (box, flatbed or tipper) or a tractor with a trailer."""
    kind = str(rng.choice(["box", "flat", "tipper", "trailer"], p=[0.5, 0.12, 0.18, 0.2]))
    length = float(rng.uniform(11.0, 16.0) if kind == "trailer" else rng.uniform(6.0, 9.5))
    width, height = float(rng.uniform(2.4, 3.0)), float(rng.uniform(2.6, 3.9))
    size, colour = (length, width, height), paint(rng)
    cab_length = float(rng.uniform(1.7, 2.3))
    cab_height = height * float(rng.uniform(0.75, 0.95)) if kind in ("box", "trailer") else height
    parts = _cab(size, cab_length, cab_height, colour)
    gap = 0.8 if kind == "trailer" else 0.15
    rear, bottom = -length / 2, -height / 2
    load = length - cab_length - gap
    chassis = box((-0.2, 0, bottom + 0.8), (length - 0.8, width * 0.4, 0.3), reflectivity=0.1)
    top = {"flat": bottom + 1.5, "tipper": bottom + 0.75 * height}.get(kind, height / 2)
    floor = bottom + 1.0
    cargo = box(
        (rear + load / 2, 0, (floor + top) / 2),
        (load, width * 0.97, top - floor),
        reflectivity=paint(rng),
    )
    positions = [-0.85, -0.68, 0.25, 0.75] if kind == "trailer" else [-0.55, 0.72]
    return Shape(
        "Truck", size, concatenate([*parts, chassis, cargo, *wheels(size, positions, 0.5, 0.35)])
    )


def concrete_truck(rng: np.random.Generator) -> Shape:
    """Return a mixer: cab, chassis and an inclined-looking drum."""
    size = (
        float(rng.uniform(7.0, 9.0)),
        float(rng.uniform(2.6, 3.2)),
        float(rng.uniform(3.1, 3.8)),
    )
    length, width, height = size
    cab_length, bottom = 1.9, -height / 2
    parts = _cab(size, cab_length, 0.8 * height, paint(rng))
    load = length - cab_length - 0.1
    center = -length / 2 + load / 2
    drum = ellipsoid(
        (center, 0, bottom + 0.35 * height + 0.325 * height),
        (load / 2, width * 0.46, 0.325 * height),
        reflectivity=0.4,
    )
    chassis = box((-0.2, 0, bottom + 0.9), (length - 0.5, width * 0.5, 0.4), reflectivity=0.15)
    axles = wheels(size, [-0.75, -0.4, 0.7], 0.5, 0.4)
    return Shape("ConcreteTruck", size, concatenate([*parts, drum, chassis, *axles]))


def bus(rng: np.random.Generator) -> Shape:
    """Return a city bus with a window band that lets some rays through."""
    length, width, height = (float(v) for v in rng.uniform((9.0, 2.6, 2.9), (13.5, 3.1, 3.5)))
    bottom, colour = -height / 2, paint(rng)
    belt, roof = bottom + 0.4 * height, bottom + 0.85 * height
    body = width * 0.94
    low = box(
        (0, 0, (bottom + 0.3 + belt) / 2), (length, body, belt - bottom - 0.3), reflectivity=colour
    )
    half = length / 2 - 0.02
    windows = profile(
        [(-half, belt), (half, belt), (half - 0.1, roof), (-half, roof)],
        body * 0.99,
        body * 0.97,
        glass_edges=(1,),
        glass_sides=True,
        reflectivity=0.2,
    )
    inside = box((0, 0, belt + 0.25), (length * 0.85, body * 0.8, 0.5), reflectivity=0.12)
    top = box(
        (0, 0, (roof + height / 2) / 2),
        (length - 0.1, body, height / 2 - roof),
        reflectivity=colour,
    )
    mirrors = [
        box((half - 0.2, s * (width / 2 - 0.1), roof - 0.4), (0.2, 0.2, 0.5)) for s in (-1, 1)
    ]
    axles = wheels((length, width, height), [-0.5, 0.6], 0.48, 0.3)
    return Shape(
        "Bus", (length, width, height), concatenate([low, windows, inside, top, *mirrors, *axles])
    )


def container(rng: np.random.Generator) -> Shape:
    """Return a waste container (V2X-Real calls it TrashCan), open walls up to its rim."""
    length, width, height = (float(v) for v in rng.uniform((1.6, 1.1, 1.3), (6.5, 2.6, 2.4)))
    hull = profile(
        [
            (-length * 0.44, -height / 2),
            (length * 0.44, -height / 2),
            (length / 2, height / 2),
            (-length / 2, height / 2),
        ],
        width * 0.9,
        width,
        reflectivity=0.25,
    )
    return Shape("TrashCan", (length, width, height), hull)


def large_vehicle(rng: np.random.Generator) -> Shape:
    """Return one of the truck class: van, truck, bus or mixer."""
    draw = rng.random()
    if draw < 0.45:
        return van(rng)
    if draw < 0.8:
        return truck(rng)
    return bus(rng) if draw < 0.93 else concrete_truck(rng)
