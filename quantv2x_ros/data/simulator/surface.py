# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The surface of the streets: grades, crests and sags, crossfall, crown, kerbs, unevenness.

A grade line is made as roads are: straight grades that a vertical curve (a parabola) joins. All is
drawn into the raster of :mod:`terrain`, so that whatever stands on the ground follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.data.simulator.terrain import CELL, NODES, REACH, Corridor, distance_to, noise

FloatArray = npt.NDArray[np.float64]
#: Steepest grade of a street.
STEEPEST = 0.06
#: Shares of scenes on nearly flat ground, on one grade, and over crests and sags.
FLAT, STEADY, ROLLING = 0.3, 0.3, 0.4
#: Share of scenes whose sidewalks lie higher than their streets.
KERB_SHARE = 0.75


@dataclass(frozen=True)
class Streets:
    """What the surface follows.

    Attributes:
        axes: centre lines, from which streets fall to both sides.
        headings: directions that grades may have, radians: those of the streets.
        carriageway: where vehicles drive and park beside the lanes; below the kerbs.
    """

    axes: tuple[FloatArray, ...]
    headings: tuple[float, ...]
    carriageway: tuple[Corridor, ...]


def grades(rng: np.random.Generator, length: float, steepest: float = STEEPEST) -> FloatArray:
    """Draw the grade at each node of a line.

    Args:
        rng: source of randomness.
        length: length of the line, metres; its middle is where the scene's agents are.
        steepest: largest grade, rise over run.

    Returns:
        (length / CELL + 1,) grades, rise over run.
    """
    count = int(length / CELL) + 1
    kind = str(rng.choice(["flat", "steady", "rolling"], p=[FLAT, STEADY, ROLLING]))
    if kind == "flat":
        return np.full(count, float(np.clip(rng.normal(0, 0.006), -0.02, 0.02)))
    grade = float(rng.uniform(0.3, 1.0) * steepest * rng.choice([-1.0, 1.0]))
    if kind == "steady":
        return np.full(count, grade)
    at = length / 2 + rng.uniform(-30, 30)
    at -= np.floor(at / 90.0) * 90.0
    table = np.empty(count)
    begin = 0
    while begin < count:
        end = max(int(at / CELL), begin + 1)
        table[begin:end] = grade
        change = rng.uniform(0.6, 1.8) * steepest * (-1.0 if grade > 0 else 1.0)
        grade = float(np.clip(grade + change, -steepest, steepest))
        begin, at = end, at + rng.uniform(60, 140)
    width = int(rng.uniform(25, 70) / CELL)
    padded = np.pad(table, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")


def grade_line(rng: np.random.Generator, heading: float) -> FloatArray:
    """Return (NODES, NODES) heights, metres, 0 in the middle, of ground that climbs one way.

    Across it lies at a slope of mostly below 2 %, as streets along a hillside do.
    """
    axis = np.linspace(-REACH, REACH, NODES)
    x, y = axis[None, :], axis[:, None]
    length = 2 * np.sqrt(2) * REACH + 2
    table = grades(rng, length)
    heights = np.concatenate([[0.0], np.cumsum((table[1:] + table[:-1]) / 2) * CELL])
    along = np.cos(heading) * x + np.sin(heading) * y
    across = np.cos(heading) * y - np.sin(heading) * x
    heights -= np.interp(length / 2, np.arange(len(heights)) * CELL, heights)
    place = (along + length / 2) / CELL  # as np.interp, which would search for each of them
    index = place.astype(np.int64)
    profile = heights[index] + (place - index) * (heights[index + 1] - heights[index])
    return np.asarray(profile + np.clip(rng.normal(0, 0.01), -0.03, 0.03) * across)


@njit(cache=True)
def _paint(mask: FloatArray, columns: FloatArray, rows: FloatArray, radius: float) -> None:
    """Set every node within ``radius`` nodes of (column, row) to 1."""
    size = int(radius) + 1
    for n in range(len(columns)):
        for i in range(max(int(rows[n]) - size, 0), min(int(rows[n]) + size + 2, len(mask))):
            for j in range(
                max(int(columns[n]) - size, 0), min(int(columns[n]) + size + 2, len(mask))
            ):
                if (i - rows[n]) ** 2 + (j - columns[n]) ** 2 <= radius * radius:
                    mask[i, j] = 1.0


def raised(carriageway: Iterable[Corridor]) -> FloatArray:
    """Return (NODES, NODES): 0 on the carriageway, 1 beyond its kerbs."""
    mask = np.zeros((NODES, NODES))
    for corridor in carriageway:
        place = (corridor.points + REACH) / CELL
        _paint(mask, place[:, 0].copy(), place[:, 1].copy(), corridor.radius / CELL)
    return 1.0 - mask


def crown(rng: np.random.Generator, axes: Iterable[FloatArray]) -> FloatArray:
    """Return heights, (NODES, NODES) metres: 0 on the axes, from where streets fall by 1 to 3 %."""
    distance = distance_to(Corridor(points, 0.0) for points in axes)
    return np.asarray(-rng.uniform(0.01, 0.03) * np.minimum(distance, rng.uniform(6, 14)))


def street_heights(rng: np.random.Generator, streets: Streets) -> FloatArray:
    """Draw the ground that streets and what lies beside them have in common.

    Args:
        rng: source of randomness.
        streets: where they are.

    Returns:
        (NODES, NODES) heights in metres.
    """
    heading = rng.choice(streets.headings) + rng.choice([0.0, rng.normal(0, 0.5)])
    z = grade_line(rng, float(heading))
    if rng.random() < 0.8:
        z += crown(rng, streets.axes)
    if rng.random() < KERB_SHARE:
        z += rng.uniform(0.08, 0.18) * raised(streets.carriageway)
    z += noise(rng, rng.uniform(20, 60)) * rng.uniform(0.02, 0.2)
    return np.asarray(z + noise(rng, rng.uniform(2, 6)) * rng.uniform(0, 0.012), np.float64)
