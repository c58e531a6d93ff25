# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rigs: the LiDARs of one agent, whose points make one cloud in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Pose6
from quantv2x_ros.data.simulator.sensors import SensorModel, random_sensor
from quantv2x_ros.data.simulator.shape import Size

FloatArray = npt.NDArray[np.float64]
AT_ORIGIN: Pose6 = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
#: Shares of vehicles with two units of 32 beams, and with one on the roof and four at the corners.
PAIR_SHARE, CORNERS_SHARE = 0.1, 0.2
#: Share of roadside units that look one way: 100 by 18 degrees.
NARROW_SHARE = 0.25


@dataclass(frozen=True)
class Unit:
    """One LiDAR of an agent.

    Attributes:
        sensor: its model.
        pose: where it is in the agent's LiDAR frame: x, y, z in metres, roll, yaw, pitch in
            degrees, V2X convention. The first unit of a rig is that frame.
    """

    sensor: SensorModel
    pose: Pose6 = AT_ORIGIN

    @cached_property
    def to_agent(self) -> FloatArray:
        """(4, 4) from the unit's frame to the agent's LiDAR frame."""
        return matrix_from_v2x(np.array(self.pose))

    def in_agent_frame(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return points (P, 4) of the unit in the agent's LiDAR frame."""
        if self.pose == AT_ORIGIN:
            return points
        moved = points.copy()
        moved[:, :3] = points[:, :3] @ self.to_agent[:3, :3].T + self.to_agent[:3, 3]
        return moved


def vehicle_rig(
    rng: np.random.Generator, size: Size, offset: tuple[float, float, float]
) -> tuple[Unit, ...]:
    """Draw a vehicle's LiDARs: one, two stacked or side by side, or roof and corners.

    Args:
        rng: source of randomness.
        size: length, width, height of the vehicle, metres.
        offset: the first unit's position in the frame of the vehicle's box, metres.
    """
    draw = rng.random()
    if draw < PAIR_SHARE:
        return _pair(rng)
    if draw < PAIR_SHARE + CORNERS_SHARE:
        return (Unit(random_sensor(rng, "roof64")), *_corners(rng, size, offset))
    return (Unit(random_sensor(rng)),)


def roadside_rig(rng: np.random.Generator) -> tuple[Unit, ...]:
    """Draw a roadside unit's LiDAR: one that turns, or one that looks at the road alone."""
    narrow = rng.random() < NARROW_SHARE
    return (Unit(random_sensor(rng, "roadside96" if narrow else "")),)


def is_narrow(units: tuple[Unit, ...]) -> bool:
    """Tell whether a rig looks one way."""
    right, left = units[0].sensor.field_of_view
    return len(units) == 1 and left - right < 180.0


def _pair(rng: np.random.Generator) -> tuple[Unit, ...]:
    """Return two units of 32 beams: the second lower or beside, and looking further down."""
    name = str(rng.choice(["spinning32", "staggered32"]))
    if rng.random() < 0.6:
        x, y, z, roll = float(rng.normal(0, 0.03)), 0.0, float(rng.uniform(-0.45, -0.2)), 0.0
    else:
        x, y, z = 0.0, float(rng.uniform(0.4, 1.1) * rng.choice([-1.0, 1.0])), 0.0
        roll = float(np.sign(y) * rng.uniform(0.0, 12.0))  # turned to its own side
    pitch = float(rng.uniform(-6.0, 0.5))
    second = Unit(random_sensor(rng, name), (x, y, z, roll, float(rng.normal(0, 1.0)), pitch))
    return Unit(random_sensor(rng, name)), second


def _corners(
    rng: np.random.Generator, size: Size, offset: tuple[float, float, float]
) -> tuple[Unit, ...]:
    """Return units of short range at the corners of a body, of which each sees its own side."""
    length, width, height = size
    lift = float(rng.uniform(0.5, 1.0))
    units = []
    for along, side in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x = along * (length / 2 + 0.05) - offset[0]
        y = side * (width / 2 + 0.05) - offset[1]
        yaw = np.degrees(np.arctan2(side, along)) + rng.normal(0, 2.0)
        tilt = rng.normal(0, 0.5, 2)
        pose = (x, y, lift - height / 2 - offset[2], tilt[0], yaw, tilt[1])
        units.append(Unit(random_sensor(rng, "corner32"), tuple(map(float, pose))))  # type: ignore[arg-type]
    return tuple(units)
