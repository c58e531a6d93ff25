# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Layouts: where roads, parking slots, sidewalks, scenery and roadside units are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from quantv2x_ros.data.simulator import furnishing
from quantv2x_ros.data.simulator.frontage import Keepout, furnish_side
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.paths import FloatArray, Path, curve, straight, turn
from quantv2x_ros.data.simulator.primitives import PartSet, concatenate
from quantv2x_ros.data.simulator.slots import Place, driveways, forecourt, kerbside
from quantv2x_ros.data.simulator.surface import Streets
from quantv2x_ros.data.simulator.terrain import CELL, Corridor

REACH = 150.0
Furnisher = Callable[[np.random.Generator, Ground], list[PartSet]]


@dataclass(frozen=True)
class Signal:
    """Traffic lights that give way to one group of routes after the other.

    Attributes:
        groups: the groups in the order of their green.
        period: seconds from one group's green to the next, its last 3 s red for all.
        start: time into the cycle at which the scene begins, seconds.
    """

    groups: tuple[int, ...]
    period: float
    start: float

    def green(self, group: int, time: float) -> bool:
        """Return whether ``group`` may pass at ``time`` seconds."""
        phase, into = divmod(time + self.start, self.period)
        return self.groups[int(phase) % len(self.groups)] == group and into < self.period - 3.0


@dataclass(frozen=True)
class Route:
    """A way that vehicles drive.

    Attributes:
        path: the driven line.
        speed: free speed, m/s.
        stop: arc length of the stop line at the lights, or None.
        group: the group of lights that it obeys.
        flow: relative share of the traffic.
    """

    path: Path
    speed: float
    stop: float | None = None
    group: int = 0
    flow: float = 1.0


@dataclass
class Layout:
    """What a scene is built on; x, y in metres around the centre of the scene, yaw in radians.

    The axes are the streets' centre lines, parking lanes the lines beside their kerbs.
    """

    name: str
    routes: list[Route] = field(default_factory=list)
    slots: list[Place] = field(default_factory=list)
    sidewalks: list[Path] = field(default_factory=list)
    sites: list[Place] = field(default_factory=list)
    furnishers: list[Furnisher] = field(default_factory=list)
    signal: Signal | None = None
    axes: list[Path] = field(default_factory=list)
    parking_lanes: list[Path] = field(default_factory=list)

    def static_parts(self, rng: np.random.Generator, ground: Ground) -> PartSet:
        """Return all scenery on the ground, in the world frame."""
        return concatenate([part for furnish in self.furnishers for part in furnish(rng, ground)])

    def corridors(self) -> list[Corridor]:
        """Return what has to be level: lanes, slots, sidewalks and roadside sites."""
        ways = [(route.path, 2.2) for route in self.routes]
        ways += [(path, 1.3) for path in self.sidewalks]
        level = [Corridor(_dense(path), radius) for path, radius in ways]
        for places, radius in ((self.slots, 3.3), (self.sites, 1.0)):
            if places:
                level.append(Corridor(np.array(places)[:, :2], radius))
        return level

    def streets(self) -> Streets:
        """Return what the surface of the ground follows."""
        drives = [Corridor(_dense(route.path), 2.0) for route in self.routes]
        drives += [Corridor(_dense(line), 1.5) for line in self.parking_lanes]
        if self.slots and not self.parking_lanes:  # a lot; forecourts lie above the kerb
            drives.append(Corridor(np.array(self.slots)[:, :2], 3.3))
        headings = tuple(axis.heading(axis.length / 2) for axis in self.axes)
        return Streets(tuple(_dense(axis) for axis in self.axes), headings, tuple(drives))


def _dense(path: Path) -> FloatArray:
    """Return positions along a path, (M, 2), at most a cell of the ground's raster apart."""
    return path.position(np.arange(0, path.length, CELL))


def _lanes(axis: Path, each: int, width: float, speed: float, median: float) -> list[Route]:
    routes = []
    for lane in range(each):
        offset = median / 2 + (lane + 0.5) * width
        flow_speed = speed * (1.0 - 0.08 * lane)
        routes.append(Route(axis.offset(-offset), flow_speed))
        routes.append(Route(axis.offset(offset).reversed(), flow_speed))
    return routes


def road(rng: np.random.Generator) -> Layout:
    """Return a straight or curved road of 2 to 6 lanes, with parked cars and a furnished edge."""
    layout = Layout("road")
    curvature = 0.0 if rng.random() < 0.55 else float(rng.uniform(-1, 1) / 110)
    axis = curve(2 * REACH, curvature)
    layout.axes = [axis]
    each, width = int(rng.integers(1, 4)), float(rng.uniform(3.2, 3.8))
    median = float(rng.choice([0.0, 0.0, rng.uniform(0.8, 1.5), rng.uniform(1.5, 4.0)]))
    narrow = rng.random() < 0.45  # a street between houses
    if narrow:
        each, width, median = 1, float(rng.uniform(2.5, 3.2)), 0.0
    layout.routes = _lanes(axis, each, width, float(rng.uniform(7, 16)), median)
    half = median / 2 + each * width
    if median > 0.5:
        layout.furnishers.append(partial(furnishing.furnish_median, line=axis))
    for side in (-1.0, 1.0):
        line = axis if side > 0 else axis.reversed()
        layout.slots, edge = kerbside(rng, layout.slots, line, half)
        walk = float(rng.uniform(0.8, 2.2) if narrow else rng.uniform(2.0, 4.0))
        # all of a lane's depth, which is 5 m where cars park slanted or side by side
        for back in np.arange(1.5, max(edge - half, 1.6), 2.5):
            layout.parking_lanes.append(line.offset(edge - float(back)))
        layout.sidewalks.append(line.offset(edge + 0.9 + walk / 2))
        drives: tuple[float, ...] = ()
        draw = rng.random()
        if draw < 0.25:
            layout.slots += forecourt(rng, line, edge + walk + 1.5)
        elif draw < 0.65:
            places, drives = driveways(rng, line, edge + walk)
            layout.slots += places
        layout.furnishers.append(
            partial(furnishing.furnish_road, line=line, edge=edge, walk=walk, driveways=drives)
        )
        for s in rng.uniform(REACH - 65, REACH + 65, 8):
            x, y = line.offset(edge + 0.5).position(s)
            layout.sites.append((float(x), float(y), line.heading(s) - np.pi / 2))
    return layout


def intersection(rng: np.random.Generator) -> Layout:
    """Return a crossing of two roads; one group of lanes has green, the others queue."""
    layout = Layout("intersection")
    width = float(rng.uniform(3.2, 3.7))
    each = [int(rng.integers(1, 4)), int(rng.integers(1, 4))]
    half = [n * width for n in each]
    layout.axes = [straight((-REACH, 0), (REACH, 0)), straight((0, -REACH), (0, REACH))]
    left = bool(rng.random() < 0.4)
    groups = (0, 1, 2, 3) if left else (0, 2)
    period = float(rng.uniform(12, 25))
    layout.signal = Signal(groups, period, float(rng.uniform(0, period * len(groups))))
    speed = float(rng.uniform(7, 13))
    gap = [half[1] + rng.uniform(5, 9), half[0] + rng.uniform(5, 9)]
    for arm in range(4):
        layout.routes += _arm_routes(arm, each, width, gap, speed, left)
    keepout = Keepout(((0.0, half[0]), (np.pi / 2, half[1])))
    for arm in range(4):
        angle, own = arm * np.pi / 2, arm % 2
        direction = np.array([np.cos(angle), np.sin(angle)])
        line = straight(direction * (gap[own] + 2), direction * REACH)
        for side in (-1.0, 1.0):
            walk = float(rng.uniform(2.0, 4.0))
            layout.sidewalks.append(line.offset(side * (half[own] + 0.9 + walk / 2)))
            edge_line = line if side > 0 else line.reversed()
            layout.furnishers.append(
                partial(
                    furnishing.furnish_road,
                    line=edge_line,
                    edge=half[own],
                    walk=walk,
                    keepout=keepout,
                )
            )
            corner = direction * (gap[own] - 1.5)
            normal = np.array([-direction[1], direction[0]]) * side
            x, y = corner + normal * (half[own] + 2.0)
            layout.sites.append((float(x), float(y), float(np.arctan2(-y, -x))))
            x, y = direction * rng.uniform(25, 60) + normal * (half[own] + 0.8)
            layout.sites.append((float(x), float(y), float(np.arctan2(-normal[1], -normal[0]))))
    for side in (-1.0, 1.0):  # crosswalks over both roads
        x, y = gap[0] - 2.5, gap[1] - 2.5
        layout.sidewalks.append(straight((side * x, -half[0] - 4), (side * x, half[0] + 4)))
        layout.sidewalks.append(straight((-half[1] - 4, side * y), (half[1] + 4, side * y)))
    return layout


def _arm_routes(
    arm: int, each: list[int], width: float, gap: list[float], speed: float, left: bool
) -> list[Route]:
    """Return the routes that come in on one arm: straight on, right, or left from its own lane."""
    own, other = arm % 2, (arm + 1) % 2
    heading = arm * np.pi / 2

    def lane(angle: float, index: int, start: float, end: float) -> Path:
        along = np.array([np.cos(angle), np.sin(angle)])
        right = np.array([along[1], -along[0]]) * (index + 0.5) * width
        return straight(along * start + right, along * end + right)

    routes = []
    for index in range(each[own]):
        entry = lane(heading, index, -REACH, -gap[own])
        stop = entry.length - 2.0
        if left and index == 0 and each[own] > 1:
            out = lane(heading + np.pi / 2, 0, gap[other], REACH)
            routes.append(Route(turn(entry, out), speed * 0.7, stop, 2 * own + 1, 0.7))
            continue
        onward = lane(heading, index, gap[own], REACH)
        routes.append(Route(turn(entry, onward), speed, stop, 2 * own))
        if index == each[own] - 1:
            out = lane(heading - np.pi / 2, each[other] - 1, gap[other], REACH)
            routes.append(Route(turn(entry, out), speed * 0.6, stop, 2 * own, 0.4))
    return routes


def parking(rng: np.random.Generator) -> Layout:
    """Return a parking lot: double rows of slots between aisles, beside a street."""
    layout = Layout("parking")
    aisle, depth, slot = rng.uniform(6.0, 7.5), rng.uniform(4.9, 5.4), rng.uniform(2.5, 2.9)
    rows, length = int(rng.integers(2, 6)), float(rng.uniform(40, 110))
    pitch = aisle + 2 * depth
    for row in range(rows):
        y = (row - (rows - 1) / 2) * pitch
        forward = straight((-length / 2 - 8, y - 1.5), (length / 2 + 8, y - 1.5))
        layout.routes.append(Route(forward, 3.5, flow=0.25))
        backward = straight((length / 2 + 8, y + 1.5), (-length / 2 - 8, y + 1.5))
        layout.routes.append(Route(backward, 3.5, flow=0.25))
        for side in (-1.0, 1.0):
            for x in np.arange(-length / 2, length / 2, slot):
                yaw = side * np.pi / 2 + (np.pi if rng.random() < 0.3 else 0.0)
                layout.slots.append((float(x), float(y + side * (aisle + depth) / 2), float(yaw)))
        layout.sidewalks.append(straight((-length / 2, y + 2.6), (length / 2, y + 2.6)))
        for x in (*rng.uniform((-30, 5), (-5, 30)), -length / 2 - 3, length / 2 + 3):
            layout.sites.append((float(x), float(y + aisle / 2 + depth), 0.0))
    street_y = -(rows / 2) * pitch - rng.uniform(7, 14)
    axis = straight((-REACH, street_y), (REACH, street_y))
    layout.axes = [axis]
    layout.routes += _lanes(axis, int(rng.integers(1, 3)), 3.5, float(rng.uniform(7, 13)), 0.0)
    layout.sidewalks.append(axis.offset(-10.0))
    layout.furnishers.append(
        partial(furnishing.furnish_road, line=axis.reversed(), edge=7.5, walk=2.5)
    )
    back = straight((-REACH, rows / 2 * pitch + 3), (REACH, rows / 2 * pitch + 3))
    style = str(rng.choice(["mixed", "gardens", "open", "walled", "built"]))
    layout.furnishers.append(partial(furnish_side, line=back, offset=2.0, style=style))
    for side in (-1.0, 1.0):  # the ends of the rows
        end, reach = side * (length / 2 + 13), rows / 2 * pitch
        fringe = straight((end, side * reach), (end, -side * reach))
        layout.furnishers.append(
            partial(furnish_side, line=fringe.reversed(), offset=0.0, style="mixed")
        )
    layout.furnishers.append(partial(furnishing.scatter, places=layout.sites[::2]))
    return layout


LAYOUTS = {"road": road, "intersection": intersection, "parking": parking}
