# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The row behind a sidewalk: houses with their gardens, hedges, fences, sites, beds, driveways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.boundaries import fence, scaffolding, site_fence, wall
from quantv2x_ros.data.simulator.fronts import building
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.paths import Path
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.slots import DRIVEWAY_WIDTH
from quantv2x_ros.data.simulator.street_furniture import furniture
from quantv2x_ros.data.simulator.vegetation import bed, bush, hedge, tree

_KINDS = ("building", "fence", "wall", "hedge", "bed", "green", "site", "gap")
#: Shares of the kinds above, by style.
STYLES: dict[str, tuple[float, ...]] = {
    "built": (0.58, 0.05, 0.06, 0.10, 0.07, 0.06, 0.04, 0.04),
    "mixed": (0.25, 0.10, 0.10, 0.20, 0.10, 0.15, 0.04, 0.06),
    "gardens": (0.22, 0.10, 0.06, 0.36, 0.12, 0.12, 0.00, 0.02),
    "open": (0.05, 0.08, 0.03, 0.17, 0.21, 0.36, 0.02, 0.08),
    "walled": (0.10, 0.22, 0.38, 0.10, 0.05, 0.05, 0.06, 0.04),
    "wild": (0.00, 0.06, 0.00, 0.12, 0.16, 0.50, 0.00, 0.16),
    "median": (0.00, 0.00, 0.00, 0.25, 0.30, 0.30, 0.00, 0.15),
}


@dataclass(frozen=True)
class Keepout:
    """Roads through the origin, (heading, half width) each, that scenery must stay clear of."""

    roads: tuple[tuple[float, float], ...] = ()

    def allows(self, x: float, y: float, margin: float) -> bool:
        """Return whether (x, y) is more than ``margin`` metres beside every road."""
        return all(
            abs(-np.sin(heading) * x + np.cos(heading) * y) > half + margin
            for heading, half in self.roads
        )


@dataclass(frozen=True)
class Lot:
    """A stretch of the row.

    Attributes:
        ground: what it stands on.
        origin: x, y of the middle of its edge at the sidewalk, metres.
        heading: of the row, radians; the lot lies on its left.
        length: along the row, metres.
    """

    ground: Ground
    origin: tuple[float, float]
    heading: float
    length: float

    def place(
        self,
        parts: PartSet,
        along: float = 0.0,
        away: float = 0.0,
        *,
        turn: float = 0.0,
        length: float = 0.0,
    ) -> PartSet:
        """Put parts at (along, away) metres; ``length``: lay them along the slope over it."""
        cosine, sine = np.cos(self.heading), np.sin(self.heading)
        x = float(self.origin[0] + along * cosine - away * sine)
        y = float(self.origin[1] + along * sine + away * cosine)
        return self.ground.place(parts, x, y, self.heading + turn, length=length)

    def house(self, parts: PartSet, away: float, depth: float) -> PartSet:
        """Put a house, dug into a slope down to its lowest corner."""
        cosine, sine = np.cos(self.heading), np.sin(self.heading)
        x, y = float(self.origin[0] - away * sine), float(self.origin[1] + away * cosine)
        sunk = np.eye(4)
        lowest = self.ground.lowest(x, y, self.heading, self.length, depth)
        sunk[2, 3] = lowest - self.ground.height(x, y)
        return self.ground.place(parts, x, y, self.heading).transformed(sunk)


def furnish_side(
    rng: np.random.Generator,
    ground: Ground,
    line: Path,
    offset: float,
    *,
    style: str,
    keepout: Keepout | None = None,
    driveways: Sequence[float] = (),
) -> list[PartSet]:
    """Return a row of scenery on the left of ``line``, ``offset`` metres from it.

    Args:
        rng: source of randomness.
        ground: ground to stand on.
        line: along the row.
        offset: of the row to the left of the line, metres.
        style: a key of ``STYLES``; "median" has plants only, on the line itself.
        keepout: roads to stay clear of.
        driveways: arc lengths of the middles of driveways, metres.
    """
    keepout = keepout or Keepout()
    row, parts, s = line.offset(offset), [], float(rng.uniform(0, 6))
    waiting = sorted(driveways)
    while s < row.length - 4:
        kind = str(rng.choice(_KINDS, p=STYLES[style]))
        length = float(rng.uniform(8, 26) if kind == "building" else rng.uniform(4, 16))
        if waiting:
            room = waiting[0] - DRIVEWAY_WIDTH / 2 - s
            if room < 2.0:
                kind, length = "driveway", DRIVEWAY_WIDTH
                s = waiting.pop(0) - length / 2
            else:
                length = min(length, room)
        middle = s + length / 2
        x, y = row.position(middle)
        ends = [row.position(min(middle + d, row.length)) for d in (-length / 2, length / 2)]
        if kind != "gap" and all(keepout.allows(px, py, 1.5) for px, py in ends):
            lot = Lot(ground, (float(x), float(y)), row.heading(middle), length)
            parts += _furnish(rng, lot, kind, style)
            if kind not in ("building", "driveway") and style != "median":
                parts += _behind(rng, lot)
        s += length + float(rng.choice([0.0, rng.uniform(0.0, 4.0)]))
    return parts


def _furnish(rng: np.random.Generator, lot: Lot, kind: str, style: str) -> list[PartSet]:
    length, away = lot.length, 0.0 if style == "median" else float(rng.uniform(0.4, 1.0))
    if kind == "building":
        return _house(rng, lot)
    if kind == "driveway":
        return _driveway(rng, lot)
    if kind == "green":
        return _green(rng, lot, {"median": 0.2, "wild": 20.0}.get(style, 6.0))
    if kind == "hedge":
        widest = 0.8 if style == "median" else 2.0
        thing = hedge(rng, length, widest=widest)
        return [lot.place(thing, away=away + (widest / 2 if away else 0.0), length=length)]
    if kind == "bed":
        deep = 0.4 if style == "median" else float(rng.uniform(0.5, 4.0))
        return [lot.place(bed(rng, length, deep), away=away, length=length)]
    make = {"fence": fence, "wall": wall, "site": site_fence}[kind]
    parts = [lot.place(make(rng, length), away=away, length=length)]
    if kind == "fence" and rng.random() < 0.4:  # plants behind the mesh
        parts.append(
            lot.place(bed(rng, length, float(rng.uniform(0.5, 3))), away=away + 0.3, length=length)
        )
    return parts


def _house(rng: np.random.Generator, lot: Lot) -> list[PartSet]:
    """A house at the sidewalk with things before it, or one behind a garden."""
    depth = float(rng.uniform(6, 14))
    garden = rng.random() < 0.45
    setback = float(rng.uniform(2.5, 8.0) if garden else rng.uniform(0.3, 2.0))
    parts = [lot.house(building(rng, lot.length, depth), setback, depth)]
    half = lot.length / 2
    if rng.random() < 0.06:
        parts.append(lot.place(scaffolding(rng, lot.length), away=max(setback - 1.1, 0.2)))
    if not garden:
        for _ in range(int(rng.integers(0, 1 + int(lot.length / 2.5)))):
            along = float(rng.uniform(-half, half - 1.5))
            away = float(rng.uniform(0.0, max(setback - 0.4, 0.05)))
            parts.append(lot.place(furniture(rng), along, away))
        return parts
    draw = rng.random()
    gate = float(rng.uniform(-0.5, 0.3)) * lot.length
    for start, end in ((-half, gate), (gate + float(rng.uniform(1.0, 3.0)), half)):
        run = end - start
        if run > 1.5 and draw < 0.8:
            edge = hedge if draw < 0.4 else (fence if draw < 0.65 else wall)
            away = 0.7 if draw < 0.4 else 0.2
            parts.append(lot.place(edge(rng, run), (start + end) / 2, away, length=run))
    for _ in range(int(rng.integers(0, 1 + int(lot.length / 1.5)))):
        plant = tree(rng) if rng.random() < 0.25 else bush(rng)
        along, away = float(rng.uniform(-half, half)), float(rng.uniform(1.2, setback))
        parts.append(lot.place(plant, along, away))
    if rng.random() < 0.5:
        bins = furniture(rng, str(rng.choice(["bins", "cycles", "pallets", "cabinet"])))
        parts.append(lot.place(bins, float(rng.uniform(-half, half - 1.0)), 1.5))
    return parts


def _driveway(rng: np.random.Generator, lot: Lot) -> list[PartSet]:
    """What lines a driveway on both sides and closes it at the back; its middle stays free."""
    parts = []
    run, half = float(rng.uniform(4.0, 7.0)), lot.length / 2
    for side in (-1.0, 1.0):
        draw = rng.random()
        if draw < 0.55:
            edge, thick = hedge(rng, run, widest=0.9), 0.45
        elif draw < 0.85:
            edge, thick = (wall if draw < 0.7 else fence)(rng, run), 0.15
        else:
            continue
        parts.append(
            lot.place(edge, side * (half + thick - 0.1), run / 2 + 0.3, turn=np.pi / 2, length=run)
        )
    if rng.random() < 0.7:
        depth = 6.0
        parts.append(lot.house(building(rng, lot.length, depth), 7.2, depth))
    return parts


def _behind(rng: np.random.Generator, lot: Lot) -> list[PartSet]:
    """What is seen over and through a low edge: trees, shrubs, another fence, a shed."""
    parts = []
    for _ in range(int(rng.integers(1, 3 + int(lot.length / 2)))):
        along, away = float(rng.uniform(-0.5, 0.5)) * lot.length, float(rng.uniform(2.5, 16.0))
        parts.append(lot.place(tree(rng) if rng.random() < 0.4 else bush(rng), along, away))
    draw, away = rng.random(), float(rng.uniform(5.0, 15.0))
    if draw < 0.2:
        parts.append(lot.place(fence(rng, lot.length), away=away, length=lot.length))
    elif draw < 0.4:
        parts.append(lot.place(hedge(rng, lot.length), away=away, length=lot.length))
    elif draw < 0.55:
        width = min(lot.length, float(rng.uniform(3.0, 8.0)))
        parts.append(lot.house(building(rng, width, 5.0), away, 5.0))
    return parts


def _green(rng: np.random.Generator, lot: Lot, spread: float) -> list[PartSet]:
    """Trees and shrubs, loosely set."""
    parts = []
    for _ in range(int(rng.integers(2, 4 + int(lot.length)))):
        along = float(rng.uniform(-lot.length, lot.length)) / 2
        away = float(rng.uniform(0, spread)) + (0.8 if spread > 1 else 0.0)
        plant = tree(rng) if rng.random() < (0.25 if spread < 1 else 0.45) else bush(rng)
        parts.append(lot.place(plant, along, away))
    return parts
