# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many objects a scene holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Share of scenes with hardly any object but the agents.
EMPTY_SHARE = 0.15


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
        """Draw 12 to 60 cars, 0 to 8 large vehicles and 0 to 25 people; in some scenes hardly any.

        Args:
            rng: source of randomness.
            slots: how many parking slots there are; a large lot holds mostly parked cars.
            crowd: factor on the numbers of large vehicles and people.

        Raises:
            ValueError: ``crowd`` is not in 0 to 10.
        """
        if not 0.0 <= crowd <= 10.0:
            raise ValueError(f"crowd is {crowd}, allowed is 0 to 10")
        if rng.random() < EMPTY_SHARE:
            few = [int(n) for n in rng.integers(0, (4, 2, 3))]
            return cls(few[0], round(crowd * few[1]), round(crowd * few[2]), 0.5)
        share = rng.uniform(0.55, 0.9) if slots > 80 else rng.uniform(0.15, 0.75)
        return cls(
            int(rng.integers(24, 61) if slots > 80 else rng.integers(12, 51)),
            round(crowd * int(rng.integers(0, 9))),
            round(crowd * int(rng.integers(0, 26))),
            float(share),
        )
