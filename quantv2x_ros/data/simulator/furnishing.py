# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenery along roads: kerbs, poles, trees, fences, walls and buildings in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.paths import Path
from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, ellipsoid, prism


def tree(rng: np.random.Generator) -> PartSet:
    """Return a trunk under a canopy of several foliage clumps."""
    height = rng.uniform(4.0, 11.0)
    bare = rng.uniform(1.8, 3.2) if height > 5 else 1.2
    radius, crown = rng.uniform(0.08, 0.28), rng.uniform(1.0, 3.2)
    parts = [prism((0, 0, (bare + 0.5) / 2), radius, bare + 0.5, reflectivity=0.25)]
    middle, half = (bare + height) / 2, (height - bare) / 2
    for _ in range(int(rng.integers(2, 6))):
        spread = rng.uniform(0.0, 0.6, 2) * crown * rng.choice([-1, 1], 2)
        center = (spread[0], spread[1], middle + rng.uniform(-0.4, 0.4) * half)
        radii = rng.uniform(0.45, 0.8) * crown
        parts.append(
            ellipsoid(
                center,
                (radii, radii, min(half, radii * rng.uniform(0.7, 1.2))),
                reflectivity=0.4,
                porosity=float(rng.uniform(0.1, 0.5)),
            )
        )
    return concatenate(parts)


def bush(rng: np.random.Generator) -> PartSet:
    """Return a bush of one to three clumps."""
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        radius = rng.uniform(0.4, 1.2)
        center = (rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6), radius * 0.5)
        parts.append(
            ellipsoid(center, (radius, radius, radius * 0.8), porosity=float(rng.uniform(0, 0.3)))
        )
    return concatenate(parts)


def pole(rng: np.random.Generator) -> PartSet:
    """Return a street lamp, traffic light or sign post."""
    kind = str(rng.choice(["lamp", "sign", "signal", "bollard"], p=[0.4, 0.3, 0.15, 0.15]))
    if kind == "bollard":
        return prism((0, 0, 0.45), 0.1, 0.9)
    height = {"lamp": rng.uniform(5.0, 9.0), "sign": rng.uniform(2.2, 3.0)}.get(kind, 4.5)
    parts = [prism((0, 0, height / 2), rng.uniform(0.05, 0.14), height)]
    if kind == "sign":
        parts.append(
            box((0, 0, height - 0.3), (0.04, 0.7, 0.6), rng.uniform(0, np.pi), reflectivity=0.9)
        )
    if kind == "signal":
        parts.append(box((0, 0, height - 0.9), (0.35, 0.35, 0.95)))
        parts.append(box((0, 0, 1.3), (0.3, 0.25, 0.6)))
    if kind == "lamp":
        parts.append(box((0, 0, 0.3), (0.35, 0.35, 0.6)))
    return concatenate(parts)


def fence(rng: np.random.Generator, length: float) -> PartSet:
    """Return a fence along x: posts and a porous panel."""
    height = rng.uniform(0.9, 2.0)
    panel = box((0, 0, height / 2), (length, 0.04, height), porosity=float(rng.uniform(0.3, 0.8)))
    posts = [
        prism((x, 0, height / 2), 0.05, height)
        for x in np.arange(-length / 2, length / 2 + 0.1, 2.5)
    ]
    return concatenate([panel, *posts])


def wall(rng: np.random.Generator, length: float) -> PartSet:
    """Return a low solid wall or a hedge along x."""
    if rng.random() < 0.5:
        return box((0, 0, 0.3), (length, 0.3, rng.uniform(1.4, 4.4)), reflectivity=0.35)
    height = rng.uniform(0.8, 1.8)
    return box(
        (0, 0, height / 2), (length, rng.uniform(0.6, 1.2), height), porosity=0.25, reflectivity=0.4
    )


def building(rng: np.random.Generator, length: float, depth: float) -> PartSet:
    """Return a house with its front along x at y = 0 and its body at positive y."""
    height, paint = rng.uniform(3.5, 16.0), float(rng.uniform(0.15, 0.7))
    parts = [box((0, depth / 2, height / 2 - 0.5), (length, depth, height + 1), reflectivity=paint)]
    for x in np.arange(-length / 2 + 2.0, length / 2 - 1.9, rng.uniform(3.0, 6.0)):
        if rng.random() < 0.6:  # pilasters, bays and porches
            out = rng.uniform(0.15, 0.9)
            top = height if rng.random() < 0.5 else rng.uniform(2.2, 3.0)
            parts.append(
                box((x, -out / 2, top / 2), (rng.uniform(0.4, 2.0), out, top), reflectivity=paint)
            )
    return concatenate(parts)


def barrier(rng: np.random.Generator) -> Callable[[float], PartSet]:
    """Return a builder of stretches along x of one barrier: concrete, guard rail or high kerb."""
    kind = str(rng.choice(["concrete", "rail", "kerb"], p=[0.4, 0.35, 0.25]))
    height, width = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.15, 0.3))
    if kind == "kerb":
        height, width = float(rng.uniform(0.18, 0.5)), float(rng.uniform(0.2, 0.6))
    spacing = float(rng.uniform(1.8, 4.0))

    def build(length: float) -> PartSet:
        if kind == "kerb":
            return box((0, 0, height / 2 - 0.1), (length, width, height + 0.2), reflectivity=0.3)
        if kind == "concrete":
            foot = box((0, 0, 0.1), (length, width + 0.25, 0.5), reflectivity=0.35)
            return concatenate(
                [foot, box((0, 0, height / 2), (length, width, height), reflectivity=0.35)]
            )
        rail = box((0, 0, height - 0.16), (length, 0.09, 0.32), reflectivity=0.45)
        at = np.arange(-length / 2 + spacing / 2, length / 2, spacing)
        return concatenate([rail, *(prism((x, 0, height / 2 - 0.1), 0.06, height) for x in at)])

    return build


def kerb(length: float) -> PartSet:
    """Return a kerb stone along x."""
    return box((0, 0, 0.0), (length, 0.3, 0.28), reflectivity=0.3)


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


def furnish_road(
    rng: np.random.Generator,
    ground: Ground,
    line: Path,
    edge: float,
    walk: float,
    keepout: Keepout | None = None,
) -> list[PartSet]:
    """Return the kerb, the furniture strip and the frontage on the left of a road.

    Args:
        rng: source of randomness.
        ground: ground to stand on.
        line: the road's axis, directed so that this side is its left.
        edge: distance of the kerb from the axis, metres.
        walk: width of the sidewalk, metres.
        keepout: other roads to stay clear of.
    """
    keepout = keepout or Keepout()
    parts: list[PartSet] = []
    kerb_line = line.offset(edge)
    guard = barrier(rng) if rng.random() < 0.25 else None
    parts += _run(ground, kerb_line, guard or kerb)
    strip, spacing = line.offset(edge + 0.55), rng.uniform(7, 25)
    trees = rng.random() < 0.5
    spacing *= float(rng.uniform(1.0, 3.0)) if ground.has_relief else 1.0
    s = rng.uniform(0, spacing)
    while s < strip.length:
        x, y = strip.position(s)
        item = tree(rng) if trees and rng.random() < 0.6 else pole(rng)
        if keepout.allows(x, y, 0.3):
            parts.append(ground.place(item, x, y, strip.heading(s)))
        s += spacing * rng.uniform(0.6, 1.6)
    shares = [0.1, 0.1, 0.2, 0.1, 0.5] if ground.has_relief else [0.35, 0.35, 0.2, 0.1, 0.0]
    style = str(rng.choice(["built", "mixed", "open", "walled", "wild"], p=shares))
    frontage = line.offset(edge + walk + 1.2)
    return parts + furnish_side(rng, ground, frontage, 0.0, style=style, keepout=keepout)


def _run(ground: Ground, line: Path, build: Callable[[float], PartSet]) -> list[PartSet]:
    """Return stretches of 8 m of a kerb or barrier all along ``line``."""
    parts = []
    for s in np.arange(4.0, line.length - 4, 8.0):
        x, y = line.position(s)
        parts.append(ground.place(build(8.0), x, y, line.heading(s), length=8.0))
    return parts


def furnish_median(rng: np.random.Generator, ground: Ground, line: Path) -> list[PartSet]:
    """Return a barrier along the middle of a road, or plants and poles."""
    if rng.random() < 0.6:
        return _run(ground, line, barrier(rng))
    return furnish_side(rng, ground, line, 0.0, style="median")


def furnish_side(
    rng: np.random.Generator,
    ground: Ground,
    line: Path,
    offset: float,
    *,
    style: str,
    keepout: Keepout | None = None,
) -> list[PartSet]:
    """Return a row of scenery on the left of ``line``, ``offset`` metres from it.

    ``style``: "built", "mixed", "open", "walled", "wild" or "median" (plants only).
    """
    keepout = keepout or Keepout()
    weights = {  # building, fence, wall, trees and bushes, gap
        "built": [0.6, 0.08, 0.1, 0.07, 0.15],
        "mixed": [0.25, 0.15, 0.15, 0.3, 0.15],
        "open": [0.06, 0.1, 0.04, 0.5, 0.3],
        "walled": [0.1, 0.25, 0.5, 0.05, 0.1],
        "wild": [0.0, 0.06, 0.0, 0.34, 0.6],
        "median": [0.0, 0.0, 0.0, 0.7, 0.3],
    }[style]
    row, parts, s = line.offset(offset), [], float(rng.uniform(0, 10))
    while s < row.length - 4:
        kind = str(rng.choice(["building", "fence", "wall", "green", "gap"], p=weights))
        length = float(rng.uniform(8, 26) if kind == "building" else rng.uniform(4, 16))
        middle = s + length / 2
        setback = rng.uniform(0.5, 8.0) if kind == "building" else 0.6
        heading = row.heading(middle)
        normal = np.array([-np.sin(heading), np.cos(heading)])
        x, y = row.position(middle) + normal * (0.0 if style == "median" else setback)
        depth = float(rng.uniform(6, 14))
        ends = [row.position(min(middle + d, row.length)) for d in (-length / 2, length / 2)]
        if kind != "gap" and all(keepout.allows(px, py, 1.5) for px, py in ends):
            parts += _item(rng, ground, kind, (float(x), float(y), heading), length, depth, style)
        s += length + rng.uniform(0.0, 5.0)
    return parts


def _item(
    rng: np.random.Generator,
    ground: Ground,
    kind: str,
    place: tuple[float, float, float],
    length: float,
    depth: float,
    style: str,
) -> list[PartSet]:
    x, y, heading = place
    if kind == "building":
        house = ground.place(building(rng, length, depth), x, y, heading)
        sunk = np.eye(4)  # dug into a slope down to its lowest corner
        sunk[2, 3] = ground.lowest(x, y, heading, length, depth) - ground.height(x, y)
        return [house.transformed(sunk)]
    if kind == "fence":
        return [ground.place(fence(rng, length), x, y, heading, length=length)]
    if kind == "wall":
        return [ground.place(wall(rng, length), x, y, heading, length=length)]
    parts, spread = [], {"median": 0.2, "wild": 20.0}.get(style, 5.0)
    for _ in range(int(rng.integers(1, 6))):
        along, away = rng.uniform(-length / 2, length / 2), rng.uniform(0, spread)
        px = x + along * np.cos(heading) - away * np.sin(heading)
        py = y + along * np.sin(heading) + away * np.cos(heading)
        tall = rng.random() < (0.25 if style == "median" else 0.55)
        plant = tree(rng) if tall else bush(rng)
        parts.append(ground.place(plant, px, py, 0.0))
    return parts


def scatter(
    rng: np.random.Generator, ground: Ground, places: Sequence[tuple[float, float, float]]
) -> list[PartSet]:
    """Return lamps and small trees at 12 m and more from each of some places along x."""
    parts = []
    for x, y, _ in places:
        for offset in (-36.0, -18.0, 18.0, 36.0):
            item = tree(rng) if rng.random() < 0.4 else pole(rng)
            parts.append(ground.place(item, x + offset, y, 0.0))
    return parts
