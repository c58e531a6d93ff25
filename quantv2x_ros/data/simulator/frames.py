# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the simulator hands out: frames, agents and objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.simulator.ground import Pose6
from quantv2x_ros.data.simulator.sensors import SensorModel


@dataclass(frozen=True)
class SimulatedObject:
    """An annotated object in the map frame.

    Attributes:
        object_id: kept over frames; the body of vehicle agent n has id n.
        obj_type: V2X-Real object type.
        location: centre of the box (x, y, z), metres.
        angle: (roll, yaw, pitch) in degrees, V2X convention.
        extent: half length, width and height, metres.
        speed: m/s.
        points: returns on it (of the agent that lists it; of all agents in a frame's truth).
    """

    object_id: int
    obj_type: str
    location: tuple[float, float, float]
    angle: tuple[float, float, float]
    extent: tuple[float, float, float]
    speed: float
    points: int


@dataclass(frozen=True)
class SimulatedAgent:
    """One agent's sweep.

    Attributes:
        points: (P, 4) float32 x, y, z, intensity 0 in the LiDAR frame, metres.
        pose6: sensor pose in the map (x, y, z, roll, yaw, pitch), metres and degrees.
        infrastructure: whether it is a roadside unit.
        sensor: its LiDAR.
        speed: m/s.
        objects: objects with at least 5 of its returns within 120 m.
        point_objects: (P,) int64 id of the object each point lies on; 0 for the rest.
    """

    points: npt.NDArray[np.float32]
    pose6: Pose6
    infrastructure: bool
    sensor: SensorModel
    speed: float
    objects: tuple[SimulatedObject, ...]
    point_objects: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SimulatedFrame:
    """All agents at one time.

    Attributes:
        timestamp: six digits, the frame's number.
        time: seconds since the first frame.
        agents: by agent id, the ego ("1") first.
        objects: every object of the world, seen or not.
    """

    timestamp: str
    time: float
    agents: dict[str, SimulatedAgent]
    objects: tuple[SimulatedObject, ...]
