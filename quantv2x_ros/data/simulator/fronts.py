# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fronts of buildings: hollow behind glass, arcades, garages and doorways, with what is in them.

A house stands with its front along x at y = 0 and its body at positive y. Its ground floor is a
row of bays between party walls; what a ray sees through a bay is a back wall and the fittings.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.assembly import Assembly, Interval
from quantv2x_ros.data.simulator.front_details import add_balconies, add_canopy, add_stoop
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.vegetation import add_climber

#: How far parts reach below the ground, metres.
BURIED = 0.5


@dataclass(frozen=True)
class Floor:
    """A ground floor under construction.

    Attributes:
        plan: where parts go.
        height: of its ceiling, metres.
        depth: of its rooms, metres.
        paint: reflectivity of its walls.
    """

    plan: Assembly
    height: float
    depth: float
    paint: float

    def wall(self, x: Interval, z: Interval, y: Interval = (0.0, 0.3)) -> None:
        """Add a piece of wall."""
        self.plan.block(x, y, z, reflectivity=self.paint)

    def pane(self, rng: np.random.Generator, x: Interval, z: Interval, y: float = 0.1) -> None:
        """Add a pane of glass, which most rays pass."""
        share = float(rng.uniform(0.8, 0.97))
        self.plan.block(x, (y, y + 0.03), z, reflectivity=0.3, porosity=share)


def _fit_out(rng: np.random.Generator, floor: Floor, x: Interval) -> None:
    """Add shelves, counters, goods and curtains behind a bay."""
    for _ in range(int(rng.integers(1, 5))):
        length, deep = float(rng.uniform(0.3, 2.0)), float(rng.uniform(0.3, 0.8))
        top = float(rng.uniform(0.6, 2.2))
        at_x = float(rng.uniform(x[0], x[1]))
        at_y = 0.5 + float(rng.beta(1.0, 2.0)) * max(floor.depth - 0.8, 0.1)
        yaw = float(rng.choice([0.0, np.pi / 2]))
        size, paint = (length, deep, top), float(rng.uniform(0.1, 0.7))
        if rng.random() < 0.3:  # open shelves and hung clothes
            floor.plan.box((at_x, at_y, top / 2), size, yaw, reflectivity=paint, porosity=0.3)
        else:
            floor.plan.box((at_x, at_y, top / 2), size, yaw, reflectivity=paint)
    if rng.random() < 0.3:
        low, out = float(rng.choice([0.1, 1.0])), float(rng.uniform(0.2, 0.5))
        floor.plan.block(
            (x[0], x[0] + 0.4 * (x[1] - x[0])),
            (out, out + 0.05),
            (low, floor.height),
            porosity=float(rng.uniform(0.1, 0.6)),
        )


def _glazed(rng: np.random.Generator, floor: Floor, x: Interval) -> None:
    """A shop window over a low sill, with mullions and maybe a recessed door."""
    sill = float(rng.choice([0.0, rng.uniform(0.15, 0.8)]))
    head = floor.height - float(rng.uniform(0.1, 0.8))
    floor.wall(x, (-BURIED, sill))
    floor.wall(x, (head, floor.height))
    floor.pane(rng, x, (sill, head))
    pitch = float(rng.uniform(0.9, 2.5))
    for at in np.arange(x[0] + pitch, x[1] - 0.2, pitch):
        floor.wall((at - 0.04, at + 0.04), (sill, head), (0.05, 0.17))
    if rng.random() < 0.5:
        floor.wall((x[0], x[1]), (head - 0.1, head + 0.5), (-0.2, 0.0))  # a fascia
    _fit_out(rng, floor, x)


def _window(rng: np.random.Generator, floor: Floor, x: Interval) -> None:
    """A wall with one window, recessed by some centimetres."""
    sill, head = float(rng.uniform(0.5, 1.4)), min(float(rng.uniform(1.9, 2.6)), floor.height)
    side = float(rng.uniform(0.1, 0.3)) * (x[1] - x[0])
    inner = (x[0] + side, x[1] - side)
    for piece in ((x[0], inner[0]), (inner[1], x[1])):
        floor.wall(piece, (sill, head))
    floor.wall(x, (-BURIED, sill))
    floor.wall(x, (head, floor.height))
    floor.wall(inner, (sill - 0.08, sill), (-float(rng.uniform(0.05, 0.25)), 0.0))
    if rng.random() < 0.25:  # shutters
        floor.wall(inner, (sill, head), (0.12, 0.16))
    else:
        floor.pane(rng, inner, (sill, head), 0.15)
        _fit_out(rng, floor, inner)


def _door(rng: np.random.Generator, floor: Floor, x: Interval) -> None:
    """A doorway: a recess with a door at its back, or an open one."""
    head, recess = float(rng.uniform(2.1, 2.7)), float(rng.uniform(0.2, 1.5))
    half = min(float(rng.uniform(0.5, 0.9)), (x[1] - x[0]) / 2)
    middle = (x[0] + x[1]) / 2
    inner = (middle - half, middle + half)
    for piece in ((x[0], inner[0]), (inner[1], x[1])):
        floor.wall(piece, (-BURIED, floor.height), (0.0, max(recess, 0.3)))
    floor.wall(inner, (head, floor.height))
    if rng.random() < 0.8:
        floor.wall(inner, (-BURIED, head), (recess, recess + 0.06))
    if rng.random() < 0.5:
        add_stoop(rng, floor.plan, middle, 2 * half + 0.5)
    if rng.random() < 0.35:
        add_canopy(rng, floor.plan, (inner[0] - 0.3, inner[1] + 0.3), head + 0.15)


def _garage(rng: np.random.Generator, floor: Floor, x: Interval) -> None:
    """A garage: its door flush, recessed, half up or gone, and things stored inside."""
    head = min(float(rng.uniform(2.1, 2.7)), floor.height)
    floor.wall(x, (head, floor.height))
    draw = rng.random()
    if draw < 0.65:
        recess = float(rng.uniform(0.05, 0.7))
        floor.wall(x, (-BURIED, head), (recess, recess + 0.08))
        return
    if draw < 0.75:
        floor.wall(x, (float(rng.uniform(0.6, 1.8)), head), (0.2, 0.28))
    _fit_out(rng, floor, x)


_BAYS = {"shop": _glazed, "window": _window, "door": _door, "garage": _garage}
#: By kind of house: shares of the bays above, bay widths in metres.
_KINDS: dict[str, tuple[tuple[float, ...], Interval]] = {
    "shops": ((0.8, 0.0, 0.2, 0.0), (2.5, 6.0)),
    "dwelling": ((0.05, 0.65, 0.25, 0.05), (1.8, 3.6)),
    "garages": ((0.0, 0.1, 0.1, 0.8), (2.6, 5.2)),
    "arcade": ((0.6, 0.2, 0.2, 0.0), (3.0, 6.0)),
}


def _bays(rng: np.random.Generator, floor: Floor, length: float, kind: str, front: float) -> None:
    """Add a row of bays with piers and party walls between them."""
    shares, widths = _KINDS[kind]
    width = float(rng.uniform(*widths))
    count = max(1, round(length / width))
    edges = np.linspace(-length / 2, length / 2, count + 1)
    pier = float(rng.uniform(0.1, 0.35))
    inside = Assembly()
    room = Floor(inside, floor.height, floor.depth - front, floor.paint)
    for start, end in itertools.pairwise(edges.tolist()):
        bay = str(rng.choice(list(_BAYS), p=shares))
        room.wall((start - pier, start + pier), (-BURIED, floor.height), (-0.05, 0.35))
        _BAYS[bay](rng, room, (start + pier, end - pier))
        if rng.random() < 0.4:  # a party wall
            room.wall((start - 0.1, start + 0.1), (-BURIED, floor.height), (0.3, room.depth))
    floor.plan.extend(inside, (0.0, front, 0.0))
    if kind == "arcade":
        thick = float(rng.uniform(0.35, 0.8))
        for at in edges:
            floor.wall((at - thick / 2, at + thick / 2), (-BURIED, floor.height), (0.0, thick))
        floor.wall((-length / 2, length / 2), (floor.height - 0.5, floor.height), (0.0, thick))


FRONTS = ("plain", *_KINDS)


def building(
    rng: np.random.Generator, length: float, depth: float, kind: str | None = None
) -> PartSet:
    """Return a house: plain, with shops, dwellings or garages at the street, or an arcade.

    Args:
        rng: source of randomness.
        length: along the street, metres.
        depth: away from it, metres.
        kind: one of ``FRONTS``, drawn at random when None.
    """
    plan = Assembly()
    height, paint = float(rng.uniform(3.5, 16.0)), float(rng.uniform(0.15, 0.7))
    span = (-length / 2, length / 2)
    kind = kind or str(rng.choice(FRONTS, p=[0.2, 0.28, 0.3, 0.1, 0.12]))
    if kind == "plain":
        plan.block(span, (0.0, depth), (-BURIED, height), reflectivity=paint)
        _pilasters(rng, plan, length, height, paint)
    else:
        ceiling = min(float(rng.uniform(2.6, 4.2)), height - 0.3)
        inner = min(float(rng.uniform(3.0, 9.0)), depth - 0.3)
        front = min(float(rng.uniform(2.0, 4.0)), inner - 1.0) if kind == "arcade" else 0.0
        floor = Floor(plan, ceiling, inner, paint)
        floor.wall(span, (ceiling, height), (0.0, depth))
        floor.wall(span, (-BURIED, ceiling), (inner, depth))
        for end in span:
            floor.wall((end - 0.15, end + 0.15), (-BURIED, ceiling), (front, inner))
        _bays(rng, floor, length, kind, front)
        if kind == "shops" and rng.random() < 0.5:
            out = float(rng.uniform(0.3, 0.9)) * length / 2
            add_canopy(rng, plan, (-out, out), float(rng.uniform(2.2, 3.0)))
    if rng.random() < 0.35:
        add_balconies(rng, plan, length, height)
    if rng.random() < 0.2:
        edge = float(rng.uniform(-0.5, 0.4)) * length
        end = min(edge + float(rng.uniform(2, 8)), length / 2)
        add_climber(rng, plan, (edge, end), min(float(rng.uniform(1.5, 6.0)), height))
    return plan.parts()


def _pilasters(
    rng: np.random.Generator, plan: Assembly, length: float, height: float, paint: float
) -> None:
    """Add pilasters, bays and porches to a plain front."""
    for x in np.arange(-length / 2 + 2.0, length / 2 - 1.9, rng.uniform(3.0, 6.0)):
        if rng.random() < 0.6:
            out, half = float(rng.uniform(0.15, 0.9)), float(rng.uniform(0.2, 1.0))
            top = height if rng.random() < 0.5 else float(rng.uniform(2.2, 3.0))
            plan.block((x - half, x + half), (-out, 0.0), (-BURIED, top), reflectivity=paint)
