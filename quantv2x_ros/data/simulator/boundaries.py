# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What runs along a road: kerbs, barriers, railings, fences, walls, building sites."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantv2x_ros.data.simulator.assembly import Assembly
from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, prism
from quantv2x_ros.data.simulator.vegetation import add_climber


def kerb(length: float) -> PartSet:
    """Return a kerb stone along x."""
    return box((0, 0, 0.0), (length, 0.3, 0.28), reflectivity=0.3)


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


def railing(rng: np.random.Generator) -> Callable[[float], PartSet]:
    """Return a builder of stretches along x of one railing: bars between posts."""
    height, share = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.5, 0.85))
    spacing = float(rng.uniform(1.5, 2.5))

    def build(length: float) -> PartSet:
        rail = Assembly()
        rail.box((0, 0, height / 2 + 0.05), (length, 0.03, height - 0.15), porosity=share)
        rail.box((0, 0, height), (length, 0.05, 0.05))
        for x in np.arange(-length / 2, length / 2, spacing):
            rail.post(float(x), 0, height, 0.06)
        return rail.parts()

    return build


def fence(rng: np.random.Generator, length: float) -> PartSet:
    """Return a fence along x: posts, and a panel of mesh, bars or boards, maybe on a plinth."""
    run = Assembly()
    height = float(rng.uniform(0.9, 2.2))
    share = 0.0 if rng.random() < 0.2 else float(rng.uniform(0.3, 0.92))
    plinth = float(rng.uniform(0.2, 0.7)) if rng.random() < 0.3 else 0.0
    run.box((0, 0, plinth / 2 - 0.1), (length, 0.25, plinth + 0.2))
    run.box((0, 0, (plinth + height) / 2), (length, 0.04, height - plinth), porosity=share)
    for x in np.arange(-length / 2, length / 2 + 0.1, 2.5):
        run.post(float(x), 0, height, 0.09)
    if rng.random() < 0.25:
        side = float(rng.uniform(-0.5, 0.2)) * length
        add_climber(rng, run, (side, min(side + 5.0, length / 2)), height)
    return run.parts()


def wall(rng: np.random.Generator, length: float) -> PartSet:
    """Return a solid wall along x, with piers, a step in height or leaves on it now and then."""
    run = Assembly()
    height, paint = float(rng.uniform(0.6, 3.2)), float(rng.uniform(0.2, 0.6))
    split = float(rng.uniform(-0.3, 0.3)) * length if rng.random() < 0.3 else length / 2
    run.block((-length / 2, split), (-0.15, 0.15), (-0.4, height), reflectivity=paint)
    lower = height * float(rng.uniform(0.5, 0.9))
    run.block((split, length / 2), (-0.15, 0.15), (-0.4, lower), reflectivity=paint)
    if rng.random() < 0.4:
        for x in np.arange(-length / 2, length / 2 + 0.1, float(rng.uniform(2.0, 4.0))):
            run.post(float(x), 0, height + 0.15, float(rng.uniform(0.35, 0.55)))
    leaves = Assembly()
    if rng.random() < 0.35:
        add_climber(rng, leaves, (-length / 2, split), height * float(rng.uniform(0.6, 1.1)))
    run.extend(leaves, (0.0, -0.15, 0.0))
    return run.parts()


def site_fence(rng: np.random.Generator, length: float) -> PartSet:
    """Return mesh panels on concrete feet, somewhat out of line, with heaps behind them."""
    run = Assembly()
    share, x, panel = float(rng.uniform(0.8, 0.94)), -length / 2, float(rng.uniform(2.5, 3.5))
    cover = rng.random() < 0.2  # tarpaulins
    while x + panel <= length / 2 + 0.1:
        yaw, y = float(rng.normal(0, 0.04)), float(rng.normal(0, 0.06))
        middle = x + panel / 2
        porosity = 0.02 if cover and rng.random() < 0.7 else share
        run.box((middle, y, 1.1), (panel - 0.06, 0.03, 1.9), yaw, porosity=porosity)
        run.post(x, y, 2.05, 0.05)
        run.box((x, y, 0.07), (0.25, 0.7, 0.15), float(rng.normal(0, 0.2)), reflectivity=0.35)
        x += panel
    for _ in range(int(rng.integers(0, 5))):
        height, reach = float(rng.uniform(0.4, 2.0)), float(rng.uniform(0.5, 2.0))
        at = (float(rng.uniform(-length, length)) / 2, float(rng.uniform(1.0, 5.0)))
        if rng.random() < 0.5:
            run.ellipsoid((*at, 0.0), (reach, 0.7 * reach, height), reflectivity=0.25)
        else:
            size = (0.8 * reach, float(rng.uniform(0.5, 1.0)), height)
            run.box((*at, height / 2), size, float(rng.uniform(0, np.pi)))
    return run.parts()


def scaffolding(rng: np.random.Generator, length: float) -> PartSet:
    """Return a scaffold along x: two rows of tubes, planks, guard rails, maybe a net."""
    frame = Assembly()
    deep, pitch, top = 0.9, float(rng.uniform(1.8, 3.0)), float(rng.uniform(4.0, 10.0))
    net = float(rng.uniform(0.3, 0.8)) if rng.random() < 0.3 else 0.0
    for x in np.arange(-length / 2, length / 2 + 0.1, pitch):
        for y in (0.0, deep):
            frame.post(float(x), y, top, 0.06)
    for z in np.arange(2.0, top, 2.0):
        frame.box((0, deep / 2, float(z)), (length, deep, 0.06))
        for rail in (0.5, 1.0):
            frame.box((0, 0, float(z) + rail), (length, 0.05, 0.05))
    if net:
        frame.box((0, -0.05, top / 2 + 1.0), (length, 0.02, top - 2.0), porosity=net)
    for x in np.arange(-length / 2, length / 2 - pitch, 3 * pitch):
        diagonal = float(np.hypot(pitch, 2.0))
        for step in np.linspace(0.1, 0.9, 5):  # a brace, as five short pieces
            frame.box((x + step * pitch, 0.02, 2.0 * step), (0.2 * pitch, 0.05, 0.2 * diagonal))
    return frame.parts()
