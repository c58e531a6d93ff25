# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Terrain beside the roads: cuttings, embankments, hillsides, ditches and rolling grass.

Roads, slots, sidewalks and sites stay on the gentle base ground; the relief begins at the edge of
what they need, so that nothing that drives or parks stands on a slope.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

FloatArray = npt.NDArray[np.float64]
CELL = 0.5
REACH = 160.0
#: Nodes along each axis.
NODES = int(2 * REACH / CELL) + 1


@dataclass(frozen=True)
class Corridor:
    """Ground that stays level with its surroundings.

    Attributes:
        points: (M, 2) float64 positions at most ``CELL`` apart along a line, metres.
        radius: half the width that is kept, metres.
    """

    points: FloatArray
    radius: float


@njit(cache=True)
def _spread(distance: FloatArray, spacing: float) -> None:
    """Propagate distances over a raster in place (two-pass 16-neighbour chamfer, 2 % error).

    The two outermost rows and columns are read, not changed.
    """
    rows, columns = distance.shape
    one, diagonal, knight = spacing, spacing * math.sqrt(2.0), spacing * math.sqrt(5.0)
    for sense in (1, -1):
        for a in range(2, rows - 2):
            i = a if sense > 0 else rows - 1 - a
            p, q = i - sense, i - 2 * sense
            for b in range(2, columns - 2):
                j = b if sense > 0 else columns - 1 - b
                near = min(distance[i, j - sense], distance[p, j]) + one
                corner = min(distance[p, j - 1], distance[p, j + 1]) + diagonal
                far = min(distance[q, j - 1], distance[q, j + 1])
                far = min(far, distance[p, j - 2], distance[p, j + 2]) + knight
                distance[i, j] = min(distance[i, j], near, corner, far)


def distance_to(corridors: Iterable[Corridor]) -> FloatArray:
    """Return the distance of every node beyond the nearest corridor's edge, 0 inside it."""
    bordered = np.full((NODES + 4, NODES + 4), 1e3)
    distance = bordered[2:-2, 2:-2]
    for corridor in corridors:
        index = np.rint((corridor.points + REACH) / CELL).astype(np.int64)
        index = index[np.all((index >= 0) & (index < NODES), axis=1)]
        spot = (index[:, 1], index[:, 0])
        distance[spot] = np.minimum(distance[spot], -corridor.radius)
    _spread(bordered, CELL)
    return np.asarray(np.maximum(distance - CELL, 0.0))


def noise(rng: np.random.Generator, wavelength: float, *, facets: bool = False) -> FloatArray:
    """Return a random field of about unit deviation on the raster.

    Args:
        rng: source of randomness.
        wavelength: spacing of the random lattice, metres.
        facets: planes between the lattice's nodes, as in a coarse mesh, instead of smooth hills.
    """
    count = int(2 * REACH / wavelength) + 3
    position = np.linspace(0, 2 * REACH / wavelength, NODES) + rng.uniform(0, 1)
    index = position.astype(np.int64)
    share = position - index
    if not facets:
        share = share * share * (3 - 2 * share)
    lattice = 1.5 * rng.normal(0, 1, (count, count))
    lines = lattice[index] + share[:, None] * (lattice[index + 1] - lattice[index])
    before, after = np.ascontiguousarray(lines.T[index]), np.ascontiguousarray(lines.T[index + 1])
    return np.ascontiguousarray((before + share[:, None] * (after - before)).T)


def _target(rng: np.random.Generator) -> FloatArray:
    """Return the height that the land beside the roads would reach, metres; below 0 it falls."""
    height = rng.uniform(1.0, 7.0)
    kind = str(rng.choice(["cutting", "embankment", "hillside", "mixed"], p=[0.4, 0.15, 0.25, 0.2]))
    shape = noise(rng, rng.uniform(25, 90)) * rng.uniform(0.2, 0.6)
    if kind == "hillside":
        axis, angle = np.linspace(-REACH, REACH, NODES), rng.uniform(0, 2 * np.pi)
        slope = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
        return np.asarray(height * (np.tanh(slope / rng.uniform(5, 40)) + shape))
    level = {"cutting": 1.0, "embankment": -0.7, "mixed": 0.0}[kind]
    return np.asarray(height * (level + shape * (1.6 if kind == "mixed" else 1.0)))


def _terraced(rng: np.random.Generator, z: FloatArray) -> FloatArray:
    """Return heights drawn together into steps with sharp edges."""
    step, sharpness = rng.uniform(0.5, 2.0), rng.uniform(1.5, 6.0)
    whole = np.floor(z / step)
    share = np.clip((z / step - whole - 0.5) * sharpness + 0.5, 0, 1)
    return np.asarray(step * (whole + share))


def _ramp(rng: np.random.Generator) -> FloatArray:
    """Return a dam that rises along a random line to a plateau, as the ramp of an overpass does."""
    axis, angle = np.linspace(-REACH, REACH, NODES), rng.uniform(0, 2 * np.pi)
    x, y = axis[None, :], axis[:, None]
    along = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-40, 40)
    across = np.abs(np.cos(angle) * y - np.sin(angle) * x - rng.uniform(-50, 50))
    crest = np.clip(along * rng.uniform(0.03, 0.12), 0, rng.uniform(2, 7))
    return np.asarray(
        np.clip(crest - (across - rng.uniform(3, 8)) * rng.uniform(0.3, 1.2), 0, crest)
    )


def relief(rng: np.random.Generator, corridors: Iterable[Corridor]) -> FloatArray:
    """Draw the terrain around the corridors.

    Args:
        rng: source of randomness.
        corridors: what has to stay level.

    Returns:
        (NODES, NODES) heights over the base ground in metres, 0 in the corridors.
    """
    distance = distance_to(corridors)
    start = rng.uniform(0, 2.5) if rng.random() < 0.65 else rng.uniform(3, 12)
    begin = start + noise(rng, rng.uniform(15, 50)) * min(start, 3.0) * rng.uniform(0, 0.7)
    run = np.maximum(distance - np.maximum(begin, 0.2), 0.0)
    steep = rng.uniform(1.2, 4.0) if rng.random() < 0.12 else rng.uniform(0.15, 0.7)
    slope = steep * np.exp(0.35 * noise(rng, rng.uniform(10, 40)))
    target = _target(rng)
    limit = np.abs(target) + 1e-3
    share = run * slope / limit
    rounded = rng.uniform(0, 1)
    z = (
        np.sign(target)
        * limit
        * (rounded * (1 - np.exp(-share)) + (1 - rounded) * np.minimum(share, 1))
    )
    if rng.random() < 0.25:
        z = _terraced(rng, z)
    if rng.random() < 0.3:
        z = np.maximum(z, np.minimum(_ramp(rng), 0.6 * run))
    z += noise(rng, rng.uniform(10, 40)) * rng.uniform(0, 0.7) * np.minimum(run / 8, 1)
    rugged = rng.uniform(0, 0.25) * np.minimum(run / 2, 1)
    z += noise(rng, rng.uniform(1.5, 6.0), facets=True) * rugged
    if rng.random() < 0.3:
        center, half = rng.uniform(1.5, 6.0), rng.uniform(0.6, 1.8)
        z -= rng.uniform(0.2, 1.2) * np.exp(-(((distance - center) / half) ** 2)) * (distance > 0)
    if rng.random() < 0.4:
        z += rng.uniform(0.08, 0.25) * np.minimum(distance / 0.5, 1)
    return np.asarray(z * np.minimum(distance / 0.5, 1), np.float64)
