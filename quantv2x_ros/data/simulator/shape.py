# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object models, and what all vehicles share.

An object's frame has its origin at the centre of the annotated box: x forward, y left, z up. Every
part stays inside the box, and the outermost parts touch its sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantv2x_ros.data.simulator.primitives import PartSet, prism

Size = tuple[float, float, float]


@dataclass(frozen=True)
class Shape:
    """An object model.

    Attributes:
        obj_type: V2X-Real object type.
        size: full length, width, height of its box, metres.
        parts: convex parts in the box frame.
    """

    obj_type: str
    size: Size
    parts: PartSet


def wheels(size: Size, axles: list[float], radius: float, thickness: float) -> list[PartSet]:
    """Return two wheels an axle; ``axles`` are x positions as shares of half the length."""
    length, width, height = size
    side = width / 2 * 0.94 - thickness / 2
    return [
        prism((x * length / 2, y, radius - height / 2), radius, thickness, 1, reflectivity=0.08)
        for x in axles
        for y in (-side, side)
    ]


def paint(rng: np.random.Generator) -> float:
    """Draw a body's reflectivity: most are near 0.3, black ones below 0.1."""
    return float(np.clip(rng.lognormal(np.log(0.3), 0.7), 0.04, 0.9))
