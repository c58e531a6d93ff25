# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Filling a layout with agents, traffic, parked rows and people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.layouts import REACH, Layout, Route
from quantv2x_ros.data.simulator.people import motorcycle, vulnerable_user
from quantv2x_ros.data.simulator.primitives import PartSet, concatenate
from quantv2x_ros.data.simulator.shape import Shape, Size
from quantv2x_ros.data.simulator.slots import Place
from quantv2x_ros.data.simulator.traffic import Actor, Traffic, driving
from quantv2x_ros.data.simulator.vehicles import car, container, large_vehicle

FIRST_OBJECT_ID = 101
CAR_TYPES = ("Car", "LongVehicle", "PoliceCar")


@dataclass(frozen=True)
class Population:
    """How many objects a scene tries to hold.

    Attributes:
        vehicles: cars, driving and parked.
        large: trucks, vans, buses, containers.
        people: pedestrians and riders.
        parked_share: share of the cars that are parked where there are slots.
    """

    vehicles: int
    large: int
    people: int
    parked_share: float

    @classmethod
    def random(cls, rng: np.random.Generator, slots: int, crowd: float = 1.0) -> Population:
        """Draw 12 to 50 cars, 0 to 8 large vehicles and 0 to 25 people.

        Args:
            rng: source of randomness.
            slots: how many parking slots there are; a large lot holds mostly parked cars.
            crowd: factor on the numbers of large vehicles and people.

        Raises:
            ValueError: ``crowd`` is not in 0 to 10.
        """
        if not 0.0 <= crowd <= 10.0:
            raise ValueError(f"crowd is {crowd}, allowed is 0 to 10")
        share = rng.uniform(0.55, 0.9) if slots > 80 else rng.uniform(0.15, 0.7)
        return cls(
            int(rng.integers(24, 51) if slots > 80 else rng.integers(12, 46)),
            round(crowd * int(rng.integers(0, 9))),
            round(crowd * int(rng.integers(0, 26))),
            float(share),
        )


class Populator:
    """Places actors so that they overlap neither each other nor the scenery."""

    def __init__(
        self, rng: np.random.Generator, layout: Layout, ground: Ground, scenery: PartSet
    ) -> None:
        self._rng, self._layout, self._ground = rng, layout, ground
        self.scenery = scenery
        self._drivers = 0
        self._next_id = FIRST_OBJECT_ID
        self.traffic = Traffic(signal=layout.signal)

    def add_scenery(self, parts: PartSet) -> None:
        """Add parts in scene coordinates that later objects must stay clear of."""
        self.scenery = concatenate([self.scenery, parts])

    def is_free(self, place: Place, size: Size) -> bool:
        """Return whether no actor stands within a footprint of ``size`` (l, w, h)."""
        shape = Shape("", size, concatenate([]))
        return Actor(0, shape, place).fits(self.traffic.actors, 0.0)

    def _clear_of_scenery(self, actor: Actor) -> bool:
        x, y, yaw = actor.place
        length, width, height = actor.shape.size
        grid = np.array(
            [
                [a, b, c]
                for a in np.linspace(-0.5, 0.5, 7)
                for b in (-0.5, -0.2, 0.2, 0.5)
                for c in (0.25, 0.9)
            ]
        ) * (length + 0.3, width + 0.3, height)
        points = np.empty_like(grid)
        points[:, 0] = x + grid[:, 0] * np.cos(yaw) - grid[:, 1] * np.sin(yaw)
        points[:, 1] = y + grid[:, 0] * np.sin(yaw) + grid[:, 1] * np.cos(yaw)
        points[:, 2] = self._ground.height(x, y) + grid[:, 2]
        low, high = points.min(axis=0), points.max(axis=0)
        corners = self.scenery.corners
        near = np.all((corners.min(axis=1) <= high) & (corners.max(axis=1) >= low), axis=1)
        return not self.scenery.select(near).contains(points).any()

    def _admit(self, actor: Actor, margin: float) -> bool:
        if not actor.fits(self.traffic.actors, margin) or not self._clear_of_scenery(actor):
            return False
        self.traffic.actors.append(actor)
        self._next_id = max(self._next_id, actor.object_id + 1)
        return True

    def add_agent(
        self, object_id: int, near: tuple[float, float], low: float, high: float
    ) -> Actor:
        """Place an agent's vehicle between ``low`` and ``high`` metres from ``near``.

        Raises:
            ValueError: no free place was found.
        """
        rng = self._rng
        for _ in range(400):
            shape = car(rng, agent=True)
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
        raise ValueError(f"no free place for agent vehicle {object_id} after 400 attempts")

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
        actor = self._driver(self._next_id, car(self._rng), route, 3.0)
        self._admit(actor, 10.0)

    def populate(self, population: Population) -> None:
        """Add parked cars, large vehicles, queues, flowing traffic and people."""
        rng = self._rng
        slots = [self._layout.slots[i] for i in rng.permutation(len(self._layout.slots))]
        slots.sort(key=lambda p: np.hypot(p[0], p[1]) + rng.exponential(30.0))
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
        self._queues()
        for _ in range(300):
            if self._count_cars() >= population.vehicles:
                break
            self._drive(car(rng))
        self._drivers = sum(a.path is not None for a in self.traffic.actors)
        for _ in range(population.people):
            self._walk()
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
            shape = motorcycle(rng, rider=False) if rng.random() < 0.03 else car(rng)
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

    def _queues(self) -> None:
        """Let vehicles wait at red lights."""
        rng, signal = self._rng, self._layout.signal
        for route in self._layout.routes:
            if route.stop is None or signal is None or signal.green(route.group, 0.0):
                continue
            front = route.stop - rng.uniform(0.0, 2.0)
            for _ in range(int(rng.integers(0, 6))):
                shape = large_vehicle(rng) if rng.random() < 0.08 else car(rng)
                s = front - shape.size[0] / 2
                if s < 5:
                    break
                actor = self._driver(self._next_id, shape, route, s)
                actor.speed = 0.0
                self._admit(actor, 0.4)
                front = s - shape.size[0] / 2 - rng.uniform(1.5, 4.0)

    def _walk(self) -> None:
        rng, walks = self._rng, self._layout.sidewalks
        for _ in range(8):
            path = walks[rng.integers(len(walks))]
            path = path if rng.random() < 0.5 else path.reversed()
            shape = vulnerable_user(rng)
            middle = path.length / 2
            s = float(np.clip(rng.normal(middle, max(middle / 3, 8.0)), 0, path.length - 1))
            top = 1.7 if shape.obj_type in ("Pedestrian", "Child", "RoadWorker") else 5.0
            speed = 0.0 if rng.random() < 0.2 else float(rng.uniform(0.7, top))
            actor = Actor(self._next_id, shape, (0.0, 0.0, 0.0), path, s, speed, speed, walks=True)
            actor.lateral = float(rng.uniform(-1.0, 1.0))
            actor.settle()
            if self._admit(actor, 0.05):
                return
