# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motion: vehicles follow their route and whatever is ahead of them, pedestrians walk."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.simulator.layouts import Place, Route
from quantv2x_ros.data.simulator.paths import Path
from quantv2x_ros.data.simulator.vehicles import Shape

FloatArray = npt.NDArray[np.float64]
#: Intelligent driver model (Treiber et al. 2000): acceleration, braking [m/s^2], headway [s], gap.
ACCELERATION, BRAKING, HEADWAY, STANDSTILL = 1.5, 2.0, 1.3, 2.0
LOOK_AHEAD = 45.0


@dataclass
class Actor:
    """An annotated object: parked (a place), driving (a route) or walking (a path).

    Attributes:
        object_id: unique in the scene and kept over frames.
        shape: its model.
        place: (x, y, yaw) now.
        path: line it moves along, or None when parked.
        s: arc length of its centre on the path, metres.
        speed: m/s.
        free_speed: m/s.
        stop: arc length of a stop line that it must not pass, or None.
        lateral: constant offset to the left of the path, metres.
        walks: whether it keeps its speed whatever is ahead.
    """

    object_id: int
    shape: Shape
    place: Place
    path: Path | None = None
    s: float = 0.0
    speed: float = 0.0
    free_speed: float = 0.0
    stop: float | None = None
    lateral: float = 0.0
    walks: bool = False

    def circles(self) -> tuple[FloatArray, float]:
        """Return (n, 2) centres and the radius of circles that cover the footprint."""
        return footprint_circles(self.place, self.shape.size)

    def settle(self) -> None:
        """Set the place from the arc length on the path."""
        if self.path is None:
            return
        x, y = self.path.position(self.s)
        yaw = self.path.heading(self.s)
        self.place = (
            float(x - self.lateral * np.sin(yaw)),
            float(y + self.lateral * np.cos(yaw)),
            yaw,
        )

    def fits(self, others: list[Actor], margin: float) -> bool:
        """Return whether no other actor is within ``margin`` metres."""
        own, radius = self.circles()
        for other in others:
            centers, other_radius = other.circles()
            gap = np.hypot(*(own[:, None] - centers[None]).transpose(2, 0, 1)).min()
            if gap < radius + other_radius + margin:
                return False
        return True


def footprint_circles(place: Place, size: tuple[float, float, float]) -> tuple[FloatArray, float]:
    """Cover a footprint of ``size`` (l, w, h) at (x, y, yaw) by circles along its length."""
    length, width = max(size[:2]), min(size[:2])
    x, y, yaw = place
    count = max(1, int(np.ceil(length / width)))
    along = (np.arange(count) - (count - 1) / 2) * (length / count)
    centers = np.stack([x + along * np.cos(yaw), y + along * np.sin(yaw)], axis=1)
    return centers, 0.52 * width


def driving(object_id: int, shape: Shape, route: Route, s: float, speed: float) -> Actor:
    """Return a vehicle on a route; a stop line already behind it does not count."""
    stop = route.stop if route.stop is not None and s < route.stop else None
    actor = Actor(
        object_id, shape, (0.0, 0.0, 0.0), route.path, s, speed, route.speed, stop
    )
    actor.settle()
    return actor


@dataclass
class Traffic:
    """All actors of a scene.

    Attributes:
        actors: parked, driving and walking objects.
    """

    actors: list[Actor] = field(default_factory=list)

    def step(self, dt: float) -> None:
        """Advance by ``dt`` seconds, in steps of at most 0.1 s."""
        count = max(1, int(np.ceil(dt / 0.1 - 1e-9)))
        for _ in range(count):
            self._advance(dt / count)

    def _advance(self, dt: float) -> None:
        if not self.actors:
            return
        covers = [actor.circles() for actor in self.actors]
        centers = np.concatenate([c for c, _ in covers])
        radii = np.repeat([r for _, r in covers], [len(c) for c, _ in covers])
        owner = np.repeat(np.arange(len(covers)), [len(c) for c, _ in covers])
        speeds = np.array([a.speed * (1.0 if a.path else 0.0) for a in self.actors])
        headings = np.array([a.place[2] for a in self.actors])
        moved = []
        for index, actor in enumerate(self.actors):
            if actor.path is None:
                continue
            if not actor.walks:
                gap, leader = _gap_ahead(actor, index, centers, radii, owner)
                ahead = 0.0 if leader < 0 else speeds[leader] * max(
                    0.0, float(np.cos(headings[leader] - actor.place[2]))
                )
                actor.speed = max(0.0, actor.speed + dt * _idm(actor, gap, ahead))
            actor.s += actor.speed * dt
            moved.append(actor)
        for actor in moved:
            actor.settle()
        self.actors = [
            a for a in self.actors if a.path is None or a.s < a.path.length - 1e-6
        ]


def _idm(actor: Actor, gap: float, ahead: float) -> float:
    """Return the acceleration of the intelligent driver model, bounded to hard braking."""
    free = 1.0 - (actor.speed / max(actor.free_speed, 0.1)) ** 4
    closing = actor.speed * (actor.speed - ahead) / (2 * np.sqrt(ACCELERATION * BRAKING))
    wanted = STANDSTILL + max(0.0, actor.speed * HEADWAY + closing)
    return float(np.clip(ACCELERATION * (free - (wanted / max(gap, 0.1)) ** 2), -8.0, ACCELERATION))


def _gap_ahead(
    actor: Actor,
    index: int,
    centers: FloatArray,
    radii: FloatArray,
    owner: npt.NDArray[np.intp],
) -> tuple[float, int]:
    """Return the free distance ahead on the own path and what ends it (-1: a stop line)."""
    assert actor.path is not None
    half_length, half_width = actor.shape.size[0] / 2, actor.shape.size[1] / 2
    gap, leader = np.inf, -1
    if actor.stop is not None:
        gap = max(actor.stop - actor.s - half_length, 0.0)
    reach = np.arange(half_length + 0.5, half_length + LOOK_AHEAD, 1.5)
    position = np.asarray(actor.place[:2])
    near = (owner != index) & (np.hypot(*(centers - position).T) < half_length + LOOK_AHEAD)
    if near.any():
        yaw = actor.path.heading(actor.s)
        shift = actor.lateral * np.array([-np.sin(yaw), np.cos(yaw)])
        line = actor.path.position(actor.s + reach) + shift
        distance = np.hypot(*(line[:, None] - centers[near][None]).transpose(2, 0, 1))
        hit = distance < half_width * 0.9 + radii[near]
        if hit.any():
            first = int(np.argmax(hit.any(axis=1)))
            free = max(float(reach[first]) - half_length - 0.5, 0.0)
            if free < gap:
                gap, leader = free, int(owner[near][int(np.argmax(hit[first]))])
    return float(gap), leader
