# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How tightly a scene's boxes are drawn around the bodies, as annotators differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.shape import Shape, Size
from quantv2x_ros.data.v2x_real import OBJECT_TYPES

#: Objects whose mirrors stand out of the body.
WITH_MIRRORS = ("Car", "LongVehicle", "PoliceCar", "Van")
#: Width of a body without its mirrors, as a share of that with them.
WITHOUT_MIRRORS = 0.93


@dataclass(frozen=True)
class Labelling:
    """What is added to a body's size; the box keeps the body's centre.

    Attributes:
        mirrors: whether the boxes of vehicles include the mirrors.
        vehicles: added length, width and height of vehicles, metres.
        people: added length, width and height of people and riders, metres.
    """

    mirrors: bool
    vehicles: Size
    people: Size

    @classmethod
    def random(cls, rng: np.random.Generator) -> Labelling:
        """Draw one: some centimetres inside the body up to a hand's breadth around it."""
        vehicles = rng.uniform((-0.06, -0.04, -0.05), (0.2, 0.1, 0.1))
        people = rng.uniform((-0.05, -0.05, -0.05), (0.2, 0.15, 0.1))
        length, width, height = (float(v) for v in vehicles)
        return cls(
            bool(rng.random() < 0.5),
            (length, width, height),
            (float(people[0]), float(people[1]), float(people[2])),
        )

    def size(self, shape: Shape) -> Size:
        """Return the length, width and height of an object's box, metres."""
        if shape.obj_type == "TrashCan":
            return shape.size
        person = OBJECT_TYPES[shape.obj_type] == "pedestrian"
        narrow = shape.obj_type in WITH_MIRRORS and not self.mirrors
        share = WITHOUT_MIRRORS if narrow else 1.0
        added = self.people if person else self.vehicles
        length, width, height = shape.size
        return (length + added[0], width * share + added[1], height + added[2])
