# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Filling a layout with agents, traffic, parked rows and people."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.cars import MARKETS, car
from quantv2x_ros.data.simulator.clearance import Clearance
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.headcount import Population
from quantv2x_ros.data.simulator.labelling import Labelling
from quantv2x_ros.data.simulator.layouts import REACH, Layout, Route
from quantv2x_ros.data.simulator.people import pedestrian, rider
from quantv2x_ros.data.simulator.primitives import PartSet, concatenate
from quantv2x_ros.data.simulator.shape import Shape, Size
from quantv2x_ros.data.simulator.slots import Place
from quantv2x_ros.data.simulator.traffic import Actor, Traffic, driving
from quantv2x_ros.data.simulator.vehicles import container, large_vehicle, van

FIRST_OBJECT_ID = 101
CAR_TYPES = ("Car", "LongVehicle", "PoliceCar")


class NoPlaceError(ValueError):
    """A drawn street on which an agent finds no place."""


class Populator:
    """Places actors so that they overlap neither each other nor the scenery."""

    def __init__(
        self, rng: np.random.Generator, layout: Layout, ground: Ground, scenery: PartSet
    ) -> None:
        self._rng, self._layout, self._ground = rng, layout, ground
        self._clearance = Clearance(scenery, ground)
        self._drivers = 0
        self._next_id = FIRST_OBJECT_ID
        self._market = str(rng.choice(list(MARKETS), p=[0.12, 0.28, 0.35, 0.25]))
        self.labelling = Labelling.random(rng)
        self.traffic = Traffic(signal=layout.signal)

    def add_scenery(self, parts: PartSet) -> None:
        """Add parts in scene coordinates that later objects must stay clear of."""
        self._clearance = Clearance(concatenate([self.scenery, parts]), self._ground)

    @property
    def scenery(self) -> PartSet:
        """Parts in scene coordinates that objects stay clear of."""
        return self._clearance.scenery

    def is_free(self, place: Place, size: Size) -> bool:
        """Return whether no actor stands within a footprint of ``size`` (l, w, h)."""
        shape = Shape("", size, concatenate([]))
        return Actor(0, shape, place).fits(self.traffic.actors, 0.0)

    def _car(self) -> Shape:
        return car(self._rng, market=self._market)

    def _admit(self, actor: Actor, margin: float) -> bool:
        if not actor.fits(self.traffic.actors, margin):
            return False
        if not self._clearance.allows(actor.place, actor.shape.size):
            return False
        self.traffic.actors.append(actor)
        self._next_id = max(self._next_id, actor.object_id + 1)
        return True

    def add_agent(
        self, object_id: int, near: tuple[float, float], low: float, high: float
    ) -> Actor:
        """Place an agent's vehicle between ``low`` and ``high`` metres from ``near``.

        Raises:
            NoPlaceError: no free place was found.
        """
        rng = self._rng
        for _ in range(400):
            shape = car(rng, market=self._market, agent=True)
            if self._layout.slots and rng.random() < 0.12:
                place = self._layout.slots[rng.integers(len(self._layout.slots))]
                actor = Actor(object_id, shape, place)
            else:
                route = self._layout.routes[rng.integers(len(self._layout.routes))]
                s = float(rng.uniform(5.0, route.path.length - 5.0))
                actor = self._driver(object_id, shape, route, s)
            distance = np.hypot(actor.place[0] - near[0], actor.place[1] - near[1])
            if low <= distance <= high and self._admit(actor, 1.0):
                return actor
        raise NoPlaceError(f"no free place for agent vehicle {object_id} after 400 attempts")

    def _driver(self, object_id: int, shape: Shape, route: Route, s: float) -> Actor:
        speed = route.speed * float(self._rng.uniform(0.5, 1.0))
        actor = driving(object_id, shape, route, s, speed)
        actor.free_speed *= float(self._rng.uniform(0.85, 1.15))
        actor.lateral = float(np.clip(self._rng.normal(0, 0.15), -0.3, 0.3))
        if (
            self.traffic.must_stop(actor) and actor.stop is not None
        ):  # slow enough to stop at the red light
            actor.speed = min(actor.speed, float(np.sqrt(3.0 * max(actor.stop - s - 4.0, 0.0))))
        actor.settle()
        return actor

    def replace_departed(self) -> None:
        """Let one car enter at a road's beginning for one that has left, where there is room."""
        driving = sum(a.path is not None and not a.walks for a in self.traffic.actors)
        routes = [r for r in self._layout.routes if r.flow >= 0.5]
        if driving >= self._drivers or not routes:
            return
        route = routes[self._rng.integers(len(routes))]
        actor = self._driver(self._next_id, self._car(), route, 3.0)
        self._admit(actor, 10.0)

    def populate(self, population: Population) -> None:
        """Add parked cars, large vehicles, queues, flowing traffic and people."""
        rng = self._rng
        slots = [self._layout.slots[i] for i in rng.permutation(len(self._layout.slots))]
        loose = float(rng.uniform(3.0, 35.0))  # in some scenes the rows are full, in others not
        slots.sort(key=lambda p: np.hypot(p[0], p[1]) + rng.exponential(loose))
        parked = min(int(population.vehicles * population.parked_share), len(slots))
        for place in slots:
            if parked < 1:
                break
            parked -= self._park(place)
        for _ in range(population.large):
            if rng.random() < 0.2 and slots:
                self._park(slots[rng.integers(len(slots))], large=True)
            else:
                self._drive(large_vehicle(rng))
        self._queues(population.vehicles)
        for _ in range(300):
            if self._count_cars() >= population.vehicles:
                break
            self._drive(self._car())
        self._drivers = sum(a.path is not None for a in self.traffic.actors)
        people = population.people
        while people > 0:
            people -= self._ride() if rng.random() < 0.35 else self._walk()
        self.traffic.calm()

    def _count_cars(self) -> int:
        return sum(a.shape.obj_type in CAR_TYPES for a in self.traffic.actors)

    def _park(self, place: Place, *, large: bool = False) -> bool:
        rng = self._rng
        turned = np.pi if rng.random() < 0.15 else 0.0
        x, y, yaw = place
        noisy = (
            x + rng.normal(0, 0.12),
            y + rng.normal(0, 0.12),
            yaw + turned + rng.normal(0, 0.03),
        )
        if large:
            shape = container(rng) if rng.random() < 0.4 else large_vehicle(rng)
        else:
            shape = van(rng) if rng.random() < 0.06 else self._car()
        return self._admit(Actor(self._next_id, shape, noisy), 0.1)

    def _drive(self, shape: Shape) -> bool:
        rng, routes = self._rng, self._layout.routes
        weights = np.array([r.flow * r.path.length for r in routes])
        for _ in range(12):
            route = routes[rng.choice(len(routes), p=weights / weights.sum())]
            s = float(rng.uniform(0, route.path.length))
            if rng.random() < 0.5:  # denser around the middle, where the agents are
                s = float(np.clip(rng.normal(route.path.length / 2, REACH / 3), 0, None))
            if s > route.path.length - shape.size[0] / 2:
                continue
            if route.stop is not None and -shape.size[0] / 2 < s - route.stop < 30:
                continue  # nobody begins within the junction
            if self._admit(self._driver(self._next_id, shape, route, s), 2.0):
                return True
        return False

    def _queues(self, limit: int) -> None:
        """Let vehicles wait at red lights, until there are ``limit`` cars."""
        rng, signal = self._rng, self._layout.signal
        for route in self._layout.routes:
            if route.stop is None or signal is None or signal.green(route.group, 0.0):
                continue
            front = route.stop - rng.uniform(0.0, 2.0)
            for _ in range(int(rng.integers(0, 6))):
                if self._count_cars() >= limit:
                    return
                shape = large_vehicle(rng) if rng.random() < 0.08 else self._car()
                s = front - shape.size[0] / 2
                if s < 5:
                    break
                actor = self._driver(self._next_id, shape, route, s)
                actor.speed = 0.0
                self._admit(actor, 0.4)
                front = s - shape.size[0] / 2 - rng.uniform(1.5, 4.0)

    def _walk(self) -> int:
        """Add somebody on foot, or a group; return how many were tried."""
        rng, walks = self._rng, self._layout.sidewalks
        count = int(rng.integers(2, 6)) if rng.random() < 0.2 else 1
        path = walks[rng.integers(len(walks))]
        path = path if rng.random() < 0.5 else path.reversed()
        standing = rng.random() < 0.3
        speed = 0.0 if standing else float(rng.uniform(0.7, 1.7))
        s = float(rng.normal(path.length / 2, max(path.length / 6, 8.0)))
        lateral = float(rng.uniform(-1.0, 1.0))
        for _ in range(count):
            for _ in range(8):
                at = float(np.clip(s + rng.normal(0, 0.9), 0, path.length - 1))
                person = Actor(
                    self._next_id, pedestrian(rng, standing=standing), (0.0, 0.0, 0.0), path, at
                )
                person.speed = person.free_speed = speed
                person.walks = True
                person.lateral = float(np.clip(lateral + rng.normal(0, 0.6), -1.2, 1.2))
                person.settle()
                if standing:  # facing each other, or anything
                    x, y, _ = person.place
                    person.path, person.place = None, (x, y, float(rng.uniform(-np.pi, np.pi)))
                if self._admit(person, 0.05):
                    break
                s += float(rng.normal(0, 4.0))
        return count

    def _ride(self) -> int:
        """Add a rider at the edge of a road or on a sidewalk; return how many were tried: one."""
        rng = self._rng
        for _ in range(8):
            shape, speed = rider(rng), float(rng.uniform(2.5, 6.0))
            if rng.random() < 0.5:
                routes = [r for r in self._layout.routes if r.flow >= 0.4]
                route = routes[rng.integers(len(routes))]
                s = float(rng.normal(route.path.length / 2, REACH / 4))
                if not 5.0 < s < route.path.length - 5.0:
                    continue
                actor = self._driver(self._next_id, shape, route, s)
                actor.speed = actor.free_speed = min(speed, actor.free_speed)
                actor.lateral = -float(rng.uniform(0.8, 1.4))
            else:
                walks = self._layout.sidewalks
                path = walks[rng.integers(len(walks))]
                path = path if rng.random() < 0.5 else path.reversed()
                s = float(rng.normal(path.length / 2, max(path.length / 6, 8.0)))
                s = float(np.clip(s, 0, path.length - 1))
                actor = Actor(self._next_id, shape, (0.0, 0.0, 0.0), path, s, speed, speed)
                actor.walks, actor.lateral = True, float(rng.uniform(-1.0, 1.0))
            actor.settle()
            if self._admit(actor, 0.1):
                break
        return 1
