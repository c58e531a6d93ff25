# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Motion: vehicles follow their route and whatever is ahead of them, pedestrians walk."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.simulator.layouts import Route, Signal
from quantv2x_ros.data.simulator.paths import Path
from quantv2x_ros.data.simulator.shape import Shape
from quantv2x_ros.data.simulator.slots import Place

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
        stop: arc length of a stop line ahead, or None.
        group: lights it obeys at the stop line.
        last_stop: arc length where it halts for good, or None to leave at the path's end.
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
    group: int = 0
    last_stop: float | None = None
    lateral: float = 0.0
    walks: bool = False

    @property
    def _reach(self) -> float:
        """No circle of the footprint reaches further from its middle, metres."""
        length, width = max(self.shape.size[:2]), min(self.shape.size[:2])
        return 0.5 * length + 0.6 * width

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

    def finish(self) -> None:
        """Turn round at the end of the path, on foot; vehicles leave the scene there."""
        if self.walks and self.path is not None and self.s >= self.path.length:
            self.path, self.s = self.path.reversed(), self.s - self.path.length
            self.lateral = -self.lateral  # the same side of the way

    def fits(self, others: list[Actor], margin: float) -> bool:
        """Return whether no other actor is within ``margin`` metres."""
        own, radius = self.circles()
        for other in others:
            apart = math.hypot(self.place[0] - other.place[0], self.place[1] - other.place[1])
            if apart > self._reach + other._reach + margin:
                continue
            centers, other_radius = other.circles()
            gap = np.hypot(*(own[:, None] - centers[None]).transpose(2, 0, 1)).min()
            if gap < radius + other_radius + margin:
                return False
        return True


@lru_cache(maxsize=4096)
def footprint_circles(place: Place, size: tuple[float, float, float]) -> tuple[FloatArray, float]:
    """Cover a footprint of ``size`` (l, w, h) at (x, y, yaw) by circles along its length."""
    length, width = max(size[:2]), min(size[:2])
    x, y, yaw = place
    count = max(1, int(np.ceil(length / width)))
    along = (np.arange(count) - (count - 1) / 2) * (length / count)
    centers = np.stack([x + along * np.cos(yaw), y + along * np.sin(yaw)], axis=1)
    centers.flags.writeable = False
    return centers, 0.52 * width


def driving(object_id: int, shape: Shape, route: Route, s: float, speed: float) -> Actor:
    """Return a vehicle on a route; a stop line already behind it does not count."""
    stop = route.stop if route.stop is not None and s < route.stop else None
    actor = Actor(
        object_id, shape, (0.0, 0.0, 0.0), route.path, s, speed, route.speed, stop, route.group
    )
    actor.settle()
    return actor


@dataclass
class Traffic:
    """All actors of a scene.

    Attributes:
        actors: parked, driving and walking objects.
        signal: the lights of an intersection.
        time: seconds since the scene began.
    """

    actors: list[Actor] = field(default_factory=list)
    signal: Signal | None = None
    time: float = 0.0

    def step(self, dt: float) -> None:
        """Advance by ``dt`` seconds, in steps of at most 0.1 s."""
        count = max(1, int(np.ceil(dt / 0.1 - 1e-9)))
        for _ in range(count):
            self._advance(dt / count)

    def must_stop(self, actor: Actor) -> bool:
        """Return whether the stop line ahead counts: red, and not too late to brake."""
        if actor.stop is None or actor.s > actor.stop:
            return False
        if self.signal is None or self.signal.green(actor.group, self.time):
            return False
        distance = actor.stop - actor.s - actor.shape.size[0] / 2
        return distance > -1.0 and actor.speed**2 < 2 * 4.0 * max(distance, 0.1)

    def calm(self) -> None:
        """Slow every vehicle so that it can stop before what is ahead; call it once at the start.

        Placed at random, some would be too fast for their gap to brake in time.
        """
        obstacles = Obstacles.of(self.actors)
        for index, actor in enumerate(self.actors):
            if actor.path is not None and not actor.walks:
                gap, ahead = obstacles.ahead(actor, index, self._stop(actor))
                room = max(0.0, gap - STANDSTILL)
                actor.speed = min(actor.speed, float(np.sqrt(ahead**2 + 2 * BRAKING * room)))

    def _stop(self, actor: Actor) -> float | None:
        return actor.stop if self.must_stop(actor) else actor.last_stop

    def _advance(self, dt: float) -> None:
        self.time += dt
        if not self.actors:
            return
        obstacles = Obstacles.of(self.actors)
        moving = [(i, a) for i, a in enumerate(self.actors) if a.path is not None]
        for index, actor in moving:
            if not actor.walks:
                gap, ahead = obstacles.ahead(actor, index, self._stop(actor))
                actor.speed = max(0.0, actor.speed + dt * _idm(actor, gap, ahead))
            actor.s += actor.speed * dt
        for _, actor in moving:
            actor.finish()
            actor.settle()
        self.actors = [a for a in self.actors if a.path is None or a.s < a.path.length]


def _idm(actor: Actor, gap: float, ahead: float) -> float:
    """Return the acceleration of the intelligent driver model, bounded to hard braking."""
    free = 1.0 - (actor.speed / max(actor.free_speed, 0.1)) ** 4
    closing = actor.speed * (actor.speed - ahead) / (2 * np.sqrt(ACCELERATION * BRAKING))
    wanted = STANDSTILL + max(0.0, actor.speed * HEADWAY + closing)
    return float(np.clip(ACCELERATION * (free - (wanted / max(gap, 0.1)) ** 2), -8.0, ACCELERATION))


@dataclass(frozen=True)
class Obstacles:
    """Footprints of all actors at one time, as circles.

    Attributes:
        centers: (C, 2) circle centres, metres.
        radii: (C,) metres.
        owner: (C,) index of the actor.
        speeds: (actors,) m/s.
        headings: (actors,) radians.
    """

    centers: FloatArray
    radii: FloatArray
    owner: npt.NDArray[np.intp]
    speeds: FloatArray
    headings: FloatArray

    @classmethod
    def of(cls, actors: list[Actor]) -> Obstacles:
        """Cover the actors, at least one, where they are now."""
        covers = [actor.circles() for actor in actors]
        counts = [len(centers) for centers, _ in covers]
        return cls(
            np.concatenate([centers for centers, _ in covers]),
            np.repeat([radius for _, radius in covers], counts),
            np.repeat(np.arange(len(covers)), counts),
            np.array([actor.speed for actor in actors]),
            np.array([actor.place[2] for actor in actors]),
        )

    def ahead(self, actor: Actor, index: int, stop: float | None) -> tuple[float, float]:
        """Return the free distance ahead on the actor's path and the speed of what ends it.

        Args:
            actor: one of the actors, with a path.
            index: its index.
            stop: arc length of a line that it must not pass, or None.

        Returns:
            Metres (infinite on a free road), and m/s along the actor's heading.
        """
        assert actor.path is not None
        half_length, half_width = actor.shape.size[0] / 2, actor.shape.size[1] / 2
        gap, speed = np.inf, 0.0
        if stop is not None:
            gap = max(stop - actor.s - half_length, 0.0)
        reach = np.arange(half_length + 0.5, half_length + LOOK_AHEAD, 1.5)
        offset = self.centers - np.asarray(actor.place[:2])
        near = (self.owner != index) & (np.hypot(*offset.T) < half_length + LOOK_AHEAD)
        if not near.any():
            return gap, speed
        yaw = actor.path.heading(actor.s)
        shift = actor.lateral * np.array([-np.sin(yaw), np.cos(yaw)])
        line = actor.path.position(actor.s + reach) + shift
        away = np.hypot(*(line[:, None] - self.centers[near][None]).transpose(2, 0, 1))
        hit = away < half_width * 0.9 + self.radii[near]
        if hit.any():
            first = int(np.argmax(hit.any(axis=1)))
            free = max(float(reach[first]) - half_length - 0.5, 0.0)
            if free < gap:
                leader = int(self.owner[near][int(np.argmax(hit[first]))])
                along = float(np.cos(self.headings[leader] - actor.place[2]))
                gap, speed = free, float(self.speeds[leader]) * max(0.0, along)
        return gap, speed
