# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Static scenery: trees, bushes, poles, signs, fences, walls, buildings and kerbs.

Builders place their parts on a local ground at z = 0 around the origin; the layout moves them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
