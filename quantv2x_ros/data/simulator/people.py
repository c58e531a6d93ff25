# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of pedestrians, riders and parked two-wheelers, in the frame of their box."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, ellipsoid, prism
from quantv2x_ros.data.simulator.shape import Shape, Size


def _person(
    rng: np.random.Generator,
    base: float,
    height: float,
    length: float,
    width: float,
    step: float = 1.0,
) -> list[PartSet]:
    """Legs, torso, arms and head between z = base and base + height; ``step`` 0: at ease."""
    dark = float(rng.uniform(0.08, 0.5))
    stride, leg = step * rng.uniform(0.75, 1.0) * (length / 2 - 0.085), 0.48 * height
    side = 0.2 * width
    legs = [
        box((s * stride, s * side, base + leg / 2), (0.17, 0.15, leg), reflectivity=dark)
        for s in (-1, 1)
    ]
    torso = ellipsoid(
        (0, 0, base + 0.63 * height),
        (0.17, min(0.24, width * 0.4), 0.21 * height),
        reflectivity=float(rng.uniform(0.08, 0.6)),
    )
    arms = [
        prism(
            (-s * stride * 0.7, s * (width / 2 - 0.06), base + 0.6 * height),
            0.06,
            0.36 * height,
            reflectivity=dark,
        )
        for s in (-1, 1)
    ]
    head = ellipsoid((0.02, 0, base + 0.92 * height), (0.11, 0.09, 0.08 * height))
    return [*legs, torso, *arms, head]


def pedestrian(rng: np.random.Generator, *, standing: bool = False) -> Shape:
    """Return an adult, child or road worker, walking or standing, maybe with a bag or a pram."""
    obj_type = str(rng.choice(["Pedestrian", "Child", "RoadWorker"], p=[0.92, 0.04, 0.04]))
    height = float(rng.uniform(1.05, 1.4) if obj_type == "Child" else rng.uniform(1.5, 1.9))
    length, width = float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.55, 0.85))
    if standing:
        length = float(rng.uniform(0.4, 0.5))
    bottom, draw = -height / 2, float(rng.random())
    step = float(rng.uniform(0.0, 0.4)) if standing else 1.0
    body = _person(rng, bottom, height, length, width, step)
    if obj_type == "Child" or draw > 0.35:
        return Shape(obj_type, (length, width, height), concatenate(body))
    if draw < 0.04:
        return _with_pram(rng, obj_type, (length, width, height), body)
    side, size = float(rng.choice([-1, 1])), (0.35, 0.16, float(rng.uniform(0.25, 0.5)))
    place = (0.0, side * (width / 2 - 0.08), bottom + 0.42 * height)
    if draw < 0.2:  # on the back
        size = (0.2, 0.3, 0.45)
        place = (-length / 2 + 0.1, 0.0, bottom + 0.68 * height)
    bag = box(place, size, reflectivity=float(rng.uniform(0.08, 0.6)))
    return Shape(obj_type, (length, width, height), concatenate([*body, bag]))


def _with_pram(rng: np.random.Generator, obj_type: str, size: Size, person: list[PartSet]) -> Shape:
    """Return a person who pushes a pram, as one body."""
    pram = float(rng.uniform(0.7, 0.95))
    length, width, height = size[0] + pram, max(size[1], 0.6), size[2]
    back, bottom = np.eye(4), -height / 2
    back[0, 3] = -pram / 2
    front = length / 2 - pram / 2
    parts = [part.transformed(back) for part in person]
    parts.append(box((front, 0, bottom + 0.65), (pram, 0.45, 0.5), reflectivity=0.2))
    parts.append(box((front, 0, bottom + 0.2), (0.8 * pram, width, 0.25), porosity=0.5))
    parts.append(box((front - pram / 2, 0, bottom + 1.0), (0.3, 0.45, 0.05)))
    return Shape(obj_type, (length, width, height), concatenate(parts))


def _two_wheels(length: float, height: float, radius: float, thickness: float) -> list[PartSet]:
    reach, z = length / 2 - radius, radius - height / 2
    return [
        prism((x, 0, z), radius, thickness, 1, reflectivity=0.08, porosity=0.35)
        for x in (-reach, reach)
    ]


def bicycle_rider(rng: np.random.Generator) -> Shape:
    """Return a cyclist: wheels, frame, handlebar and a seated person."""
    length, width, height = (float(v) for v in rng.uniform((1.65, 0.55, 1.6), (1.95, 0.85, 1.85)))
    bottom = -height / 2
    parts = [
        *_two_wheels(length, height, 0.33, 0.06),
        box((0, 0, bottom + 0.6), (length * 0.5, 0.06, 0.35), reflectivity=0.2, porosity=0.4),
        box((length * 0.28, 0, bottom + 1.0), (0.08, width, 0.06)),
        *_person(rng, bottom + 0.42, height - 0.42, 0.55, width * 0.85),
    ]
    return Shape("BicycleRider", (length, width, height), concatenate(parts))


def scooter_rider(rng: np.random.Generator) -> Shape:
    """Return a person standing on a kick scooter."""
    length, width, height = (float(v) for v in rng.uniform((1.05, 0.5, 1.65), (1.25, 0.75, 2.0)))
    bottom = -height / 2
    parts = [
        *_two_wheels(length, height, 0.11, 0.05),
        box((0, 0, bottom + 0.15), (length * 0.8, 0.16, 0.05)),
        box((length * 0.38, 0, bottom + 0.6), (0.05, 0.05, 0.95)),
        box((length * 0.38, 0, bottom + 1.05), (0.05, width * 0.8, 0.05)),
        *_person(rng, bottom + 0.17, height - 0.17, 0.5, width),
    ]
    return Shape("ScooterRider", (length, width, height), concatenate(parts))


def motorcycle(rng: np.random.Generator, *, rider: bool) -> Shape:
    """Return a motorcycle, parked or with its rider."""
    length, width = float(rng.uniform(1.65, 2.2)), float(rng.uniform(0.65, 0.9))
    height = float(rng.uniform(1.45, 1.75) if rider else rng.uniform(1.02, 1.2))
    bottom = -height / 2
    fork = (1.0 if rider else height) - 0.5  # with the wind screen of a parked one
    parts = [
        *_two_wheels(length, height, 0.3, 0.14),
        box((0, 0, bottom + 0.6), (length * 0.6, 0.3, 0.5), reflectivity=0.15),
        box((length * 0.25, 0, bottom + 0.97), (0.08, width, 0.1)),
        box((length * 0.3, 0, bottom + 0.5 + fork / 2), (0.12, 0.12, fork)),
    ]
    if rider:
        parts += _person(rng, bottom + 0.5, height - 0.5, 0.6, width * 0.8)
    kind = "Motorcycle"
    if rider:  # a motor scooter is small
        kind = "ScooterRider" if length < 1.9 else "MotorcyleRider"
    return Shape(kind, (length, width, height), concatenate(parts))


def rider(rng: np.random.Generator) -> Shape:
    """Return a rider and what is ridden as one body: mostly a bicycle, of 1.7 to 1.9 m."""
    draw = rng.random()
    if draw < 0.62:
        return bicycle_rider(rng)
    return motorcycle(rng, rider=True) if draw < 0.9 else scooter_rider(rng)
