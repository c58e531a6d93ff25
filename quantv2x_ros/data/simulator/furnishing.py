# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenery of whole roads and lots: kerbs, the furniture strip, medians, and the rows behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantv2x_ros.data.simulator.boundaries import barrier, kerb, railing
from quantv2x_ros.data.simulator.frontage import Keepout, furnish_side
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.paths import Path
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.slots import FRONTAGE
from quantv2x_ros.data.simulator.street_furniture import furniture, pole
from quantv2x_ros.data.simulator.vegetation import bed, bush, hedge, tree

#: Styles of a row, and their shares on level ground and in terrain.
_ROWS = ("built", "mixed", "gardens", "open", "walled", "wild")
_LEVEL, _HILLY = (0.34, 0.22, 0.2, 0.14, 0.1, 0.0), (0.15, 0.15, 0.2, 0.15, 0.1, 0.25)
#: Width of plants between the kerb and the sidewalk, metres.
_STRIP = 0.7


def furnish_road(
    rng: np.random.Generator,
    ground: Ground,
    line: Path,
    edge: float,
    walk: float,
    keepout: Keepout | None = None,
    driveways: Sequence[float] = (),
) -> list[PartSet]:
    """Return the kerb, the furniture strip and the frontage on the left of a road.

    Args:
        rng: source of randomness.
        ground: ground to stand on.
        line: the road's axis, directed so that this side is its left.
        edge: distance of the kerb from the axis, metres.
        walk: width of the sidewalk, metres.
        keepout: other roads to stay clear of.
        driveways: arc lengths of driveways along the frontage, metres.
    """
    keepout = keepout or Keepout()
    guard = barrier(rng) if rng.random() < 0.15 else None
    parts = _run(ground, line.offset(edge), guard or kerb, keepout)
    parts += _strip(rng, ground, line.offset(edge + 0.55), keepout)
    style = str(rng.choice(_ROWS, p=_LEVEL if not ground.has_relief else _HILLY))
    return parts + furnish_side(
        rng,
        ground,
        line.offset(edge + walk + FRONTAGE),
        0.0,
        style=style,
        keepout=keepout,
        driveways=driveways,
    )


def _strip(
    rng: np.random.Generator, ground: Ground, strip: Path, keepout: Keepout
) -> list[PartSet]:
    """Return what stands between the kerb and the sidewalk."""
    parts: list[PartSet] = []
    rail = railing(rng) if rng.random() < 0.15 else None
    if rail:
        parts += _run(ground, strip.offset(-0.25), rail, keepout)
    spacing = float(np.exp(rng.uniform(np.log(1.6), np.log(6.5))))
    trees = float(rng.choice([0.0, rng.uniform(0.1, 0.6)]))
    plants = float(rng.choice([0.0, rng.uniform(0.1, 0.6)]))
    low = rng.random() < 0.5
    s = float(rng.uniform(0, spacing))
    while s < strip.length:
        x, y = (float(v) for v in strip.position(s))
        heading, length = strip.heading(s), 0.0
        if keepout.allows(x, y, 0.3):
            draw = rng.random()
            if draw < trees:
                item = tree(rng, low=low)
            elif draw < trees + (1 - trees) * plants:
                length = float(rng.uniform(2.0, 8.0))
                plant = hedge(rng, length, widest=_STRIP) if rng.random() < 0.5 else None
                item = plant or bed(rng, length, 0.5)
            else:
                item = furniture(rng)
            parts.append(ground.place(item, x, y, heading, length=length))
        s += max(spacing * float(rng.uniform(0.4, 1.7)), length + 0.5)
    return parts


def _run(
    ground: Ground, line: Path, build: Callable[[float], PartSet], keepout: Keepout | None = None
) -> list[PartSet]:
    """Return stretches of 8 m of a kerb, railing or barrier all along ``line``."""
    parts = []
    for s in np.arange(4.0, line.length - 4, 8.0):
        x, y = line.position(s)
        if keepout is None or keepout.allows(x, y, -0.3):
            parts.append(ground.place(build(8.0), x, y, line.heading(s), length=8.0))
    return parts


def furnish_median(rng: np.random.Generator, ground: Ground, line: Path) -> list[PartSet]:
    """Return a barrier or a railing along the middle of a road, or plants and poles."""
    draw = rng.random()
    if draw < 0.5:
        return _run(ground, line, barrier(rng) if draw < 0.35 else railing(rng))
    return furnish_side(rng, ground, line, 0.0, style="median")


def scatter(
    rng: np.random.Generator, ground: Ground, places: Sequence[tuple[float, float, float]]
) -> list[PartSet]:
    """Return lamps, small trees and islands of shrubs around some places of a lot, along x."""
    parts = []
    for x, y, _ in places:
        for offset in np.arange(-40.0, 41.0, 8.0):
            at = (float(x + offset + rng.uniform(-3, 3)), y)
            draw = rng.random()
            if draw < 0.35:
                parts.append(ground.place(tree(rng, low=bool(rng.random() < 0.6)), *at, 0.0))
            elif draw < 0.55:
                parts.append(ground.place(pole(rng), *at, 0.0))
            elif draw < 0.85:
                parts.append(ground.place(bush(rng), *at, 0.0))
            elif draw < 0.93:
                parts.append(ground.place(furniture(rng), *at, np.pi / 2))
    return parts
