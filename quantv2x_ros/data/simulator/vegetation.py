# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plants: trees, shrubs, hedges, planted beds and climbers.

Foliage is porous: a ray goes some way into it, so that returns fill the volume instead of lying
on a shell. Overlapping clumps of different density make outlines irregular.
"""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.assembly import Assembly, Interval
from quantv2x_ros.data.simulator.primitives import PartSet

FOLIAGE = 0.4


def density(rng: np.random.Generator, depth: float) -> float:
    """Draw the porosity of foliage ``depth`` metres thick; rays go 0.1 to 0.6 m into it."""
    reach = float(np.exp(rng.uniform(np.log(0.1), np.log(0.6))))
    return float(np.exp(-depth / reach))


def _crown(
    rng: np.random.Generator, plant: Assembly, bottom: float, top: float, radius: float
) -> None:
    """Add clumps of leaves around the axis between two heights."""
    middle, half = (bottom + top) / 2, (top - bottom) / 2
    for _ in range(int(rng.integers(4, 10))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.75) * radius
        spread = float(rng.uniform(0.2, 0.6)) * radius
        tall = min(half, spread * float(rng.uniform(0.6, 1.2)))
        z = middle + float(rng.uniform(-1, 1)) * (half - tall)
        center = (away * np.cos(angle), away * np.sin(angle), z)
        porosity = density(rng, 1.2 * tall) ** 0.5
        plant.ellipsoid(
            center, (spread, spread, tall), reflectivity=FOLIAGE, porosity=min(porosity, 0.9)
        )


def tree(rng: np.random.Generator, *, low: bool = False) -> PartSet:
    """Return a trunk under a canopy; ``low``: one that hangs over parked cars."""
    plant = Assembly()
    if not low and rng.random() < 0.12:  # a column or cone down to the ground
        height, radius = float(rng.uniform(2.0, 7.0)), float(rng.uniform(0.4, 1.4))
        for share, width in ((0.3, 1.0), (0.55, 0.75), (0.78, 0.5)):
            porosity = density(rng, width * radius)
            center, tall = (0, 0, share * height), 0.3 * height
            plant.ellipsoid(center, (width * radius, width * radius, tall), porosity=porosity)
        return plant.parts()
    height = float(rng.uniform(3.2, 7.0) if low else rng.uniform(3.5, 11.0))
    bare = float(rng.uniform(1.5, 2.3) if low or height < 5 else rng.uniform(1.8, 3.4))
    radius = float(rng.uniform(1.4, 3.2))
    plant.post(0, 0, bare + 0.5, float(rng.uniform(0.12, 0.45)), reflectivity=0.25)
    for _ in range(int(rng.integers(0, 4))):  # boughs
        angle, reach = rng.uniform(0, 2 * np.pi), radius * float(rng.uniform(0.3, 0.6))
        center = (reach / 2 * np.cos(angle), reach / 2 * np.sin(angle), bare + 0.3)
        plant.box(center, (reach, 0.08, 0.1), angle, reflectivity=0.25)
    _crown(rng, plant, bare, height, radius)
    return plant.parts()


def add_shrub(
    rng: np.random.Generator, plant: Assembly, x: float, y: float, radius: float, height: float
) -> None:
    """Add a shrub of a few clumps around (x, y)."""
    for _ in range(int(rng.integers(2, 5))):
        spread = radius * float(rng.uniform(0.45, 0.85))
        tall = height / 2 * float(rng.uniform(0.6, 1.0))
        dx, dy = rng.uniform(-0.45, 0.45, 2) * radius
        plant.ellipsoid(
            (x + float(dx), y + float(dy), tall * 0.9),
            (spread, spread * float(rng.uniform(0.7, 1.2)), tall * 1.1),
            reflectivity=FOLIAGE,
            porosity=density(rng, spread),
        )


def bush(rng: np.random.Generator) -> PartSet:
    """Return one shrub of 0.5 to 3 m."""
    plant = Assembly()
    radius = float(rng.uniform(0.35, 1.5))
    add_shrub(rng, plant, 0.0, 0.0, radius, radius * float(rng.uniform(0.9, 2.2)))
    return plant.parts()


def hedge(rng: np.random.Generator, length: float, *, widest: float = 2.0) -> PartSet:
    """Return a hedge along x, 1 to 3 m high and up to ``widest`` thick: clipped, or grown out."""
    plant = Assembly()
    height, width = float(rng.uniform(0.9, 3.0)), float(rng.uniform(min(0.6, widest), widest))
    clipped = rng.random() < 0.6
    x, core = -length / 2, width * (1.0 if clipped else 0.7)
    while x < length / 2:
        end = min(x + float(rng.uniform(1.5, 4.0)), length / 2)
        top = height * float(rng.uniform(0.95, 1.05) if clipped else rng.uniform(0.6, 1.0))
        porosity = density(rng, min(core, top, end - x + 1e-3))
        span: Interval = (-core / 2, core / 2 * float(rng.uniform(0.9, 1.0)))
        plant.block((x, end), span, (-0.2, top), reflectivity=FOLIAGE, porosity=porosity)
        x = end
    for _ in range(int(length * (0.4 if clipped else 1.0))):
        radius = float(rng.uniform(0.2, 0.6)) * min(width, 1.2)
        z = float(rng.uniform(0.3, 1.0 if clipped else 1.1)) * (height - 0.5 * radius)
        center = (float(rng.uniform(-length, length)) / 2, float(rng.uniform(-1, 1)) * core / 2, z)
        plant.ellipsoid(
            center, (radius, radius, radius), reflectivity=FOLIAGE, porosity=density(rng, radius)
        )
    return plant.parts()


def bed(rng: np.random.Generator, length: float, depth: float) -> PartSet:
    """Return a planted bed along x and away from the road: low growth, shrubs, maybe an edge."""
    plant = Assembly()
    if rng.random() < 0.5:
        plant.block((-length / 2, length / 2), (-0.1, 0.1), (-0.2, float(rng.uniform(0.1, 0.5))))
    if rng.random() < 0.5:
        low = float(rng.uniform(0.15, 0.6))
        plant.block(
            (-length / 2, length / 2), (0.1, depth), (-0.2, low), porosity=density(rng, low)
        )
    tallest = float(rng.uniform(0.7, 3.0))
    for _ in range(max(1, int(length * depth * float(rng.uniform(0.08, 0.3))))):
        height = tallest * float(rng.uniform(0.4, 1.0))
        x, y = float(rng.uniform(-length, length)) / 2, float(rng.uniform(0.2, max(depth, 0.3)))
        add_shrub(rng, plant, x, y, height * float(rng.uniform(0.35, 0.7)), height)
    return plant.parts()


def add_climber(rng: np.random.Generator, plant: Assembly, x: Interval, top: float) -> None:
    """Add leaves, 0.1 to 0.4 m thick, on a wall at y = 0 that faces negative y."""
    start = x[0]
    while start < x[1] - 0.3:
        end = min(start + float(rng.uniform(0.5, 2.0)), x[1])
        out, high = float(rng.uniform(0.1, 0.4)), top * float(rng.uniform(0.5, 1.0))
        low = 0.0 if rng.random() < 0.7 else 0.4 * high
        porosity = density(rng, out) ** 0.7
        plant.block((start, end), (-out, 0.0), (low, high), reflectivity=0.4, porosity=porosity)
        start = end
