# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Agents' sensors: on the roofs of vehicles and on masts at the roadside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground, Pose6
from quantv2x_ros.data.simulator.population import NoPlaceError, Populator
from quantv2x_ros.data.simulator.primitives import PartSet, concatenate, prism
from quantv2x_ros.data.simulator.rigs import Unit, is_narrow, roadside_rig, vehicle_rig
from quantv2x_ros.data.simulator.slots import Place

COMMUNICATION_RANGE = 70.0
#: Largest roll and pitch of a mount against the vehicle or the mast, degrees.
MOST_TILT = 3.0
#: Heights of roadside units: on tripods, on poles, on gantries and lamp posts, metres.
MAST_HEIGHTS = ((1.8, 2.5), (2.5, 5.0), (5.0, 6.5))
#: Of those that look one way, metres.
NARROW_HEIGHTS = (6.0, 8.0)
MARGIN = 19.0  # metres that two agents may drive apart while traffic settles


@dataclass(frozen=True)
class Mount:
    """Where an agent's LiDARs sit.

    Attributes:
        units: the LiDARs; the frame of the first is the agent's.
        object_id: id of the vehicle that carries it, or None on a mast.
        offset: position of the first in the carrying box's frame, or in the scene, metres.
        tilt: roll, yaw, pitch added to the vehicle's, degrees.
        wobble: standard deviation of roll and pitch from frame to frame, degrees.
    """

    units: tuple[Unit, ...]
    object_id: int | None
    offset: tuple[float, float, float]
    tilt: tuple[float, float, float]
    wobble: float

    def pose(self, body: Pose6 | None, rng: np.random.Generator) -> Pose6:
        """Return the sensor's pose in the scene for the vehicle's pose (None on a mast)."""
        roll, yaw, pitch = self.tilt
        roll, pitch = roll + rng.normal(0, self.wobble), pitch + rng.normal(0, self.wobble)
        if body is None:
            return (*self.offset, float(roll), float(yaw), float(pitch))
        x, y, z = (matrix_from_v2x(np.array(body)) @ np.array([*self.offset, 1.0]))[:3]
        return (
            float(x),
            float(y),
            float(z),
            float(body[3] + roll),
            float(body[4] + yaw),
            float(body[5] + pitch),
        )


def agent_ids(count: int) -> list[str]:
    """Return the first ``count`` of 1, -1, 2, -2, 3, ...: vehicles positive, roadside negative.

    Raises:
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"agents is {count}, at least 1 is needed")
    return [str((i // 2 + 1) * (1 if i % 2 == 0 else -1)) for i in range(count)]


def mount_agents(
    rng: np.random.Generator,
    names: Sequence[str],
    populator: Populator,
    sites: Sequence[Place],
    ground: Ground,
) -> dict[str, Mount]:
    """Place agents' vehicles and masts within communication range of the ego.

    Returns:
        Mounts by agent id; the masts join the populator's scenery.

    Raises:
        NoPlaceError: no free place for a vehicle, or no site in range for a roadside unit.
    """
    mounts: dict[str, Mount] = {}
    ego = populator.add_agent(1, (0.0, 0.0), 0.0, 55.0)
    center = (ego.place[0], ego.place[1])
    open_sites = [sites[i] for i in rng.permutation(len(sites))]
    open_sites = [
        s
        for s in open_sites
        if np.hypot(s[0] - center[0], s[1] - center[1]) < COMMUNICATION_RANGE - MARGIN
    ]
    for name in names:
        if int(name) > 0:
            vehicle = (
                ego
                if name == "1"
                else populator.add_agent(int(name), center, 9.0, COMMUNICATION_RANGE - MARGIN)
            )
            if vehicle.path is not None:  # an agent stays: it halts where its road ends
                vehicle.last_stop = vehicle.path.length - 6.0
            length, _, height = vehicle.shape.size
            above = max(float(rng.uniform(1.6, 2.8)) - height, 0.2)  # on a roof rack
            x = float(rng.uniform(-0.08, 0.06)) * length
            roll, pitch = _tilt(rng, 0.4 if rng.random() < 0.6 else 1.5)
            tilt = (roll, float(rng.normal(0, 0.5)), pitch)
            offset = (x, 0.0, height / 2 + above)
            units = vehicle_rig(rng, vehicle.shape.size, offset)
            mounts[name] = Mount(units, int(name), offset, tilt, 0.08)
            continue
        while open_sites and not populator.is_free(open_sites[-1], (1.5, 1.5, 1.0)):
            open_sites.pop()
        if not open_sites:
            raise NoPlaceError(f"no roadside site is left in range of the ego for agent {name}")
        mounts[name], mast = _mast(rng, open_sites.pop(), ground)
        populator.add_scenery(mast)
    return mounts


def _tilt(rng: np.random.Generator, deviation: float) -> tuple[float, float]:
    """Draw a mount's roll and pitch, degrees."""
    roll, pitch = np.clip(rng.normal(0, deviation, 2), -MOST_TILT, MOST_TILT)
    return float(roll), float(pitch)


def _mast(rng: np.random.Generator, site: Place, ground: Ground) -> tuple[Mount, PartSet]:
    x, y, yaw = site
    units = roadside_rig(rng)
    low, high = MAST_HEIGHTS[rng.choice(3, p=[0.15, 0.7, 0.15])]
    low, high = NARROW_HEIGHTS if is_narrow(units) else (low, high)
    lift = float(rng.uniform(low, high))
    arm = float(rng.uniform(0.35, 0.7))
    base = ground.height(x, y)
    top = prism((x, y, base + (lift + 1.0) / 2), float(rng.uniform(0.06, 0.12)), lift + 1.0)
    cabinet = prism((x, y, base + 0.5), 0.3, 1.0)
    place = (x + arm * np.cos(yaw), y + arm * np.sin(yaw), base + lift)
    roll, pitch = _tilt(rng, 1.2)
    tilt = (roll, float(np.degrees(yaw) + rng.normal(0, 15.0)), pitch)
    position = (float(place[0]), float(place[1]), float(place[2]))
    return Mount(units, None, position, tilt, 0.0), concatenate([top, cabinet])
