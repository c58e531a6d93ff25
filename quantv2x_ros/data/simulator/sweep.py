# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From parts and ground to a cloud: rays cast, returns lost, ranges blurred, units joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground, Pose6
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.raycast import NO_PART, cast_sweep
from quantv2x_ros.data.simulator.rigs import Unit
from quantv2x_ros.data.simulator.sensors import SensorModel

FloatArray = npt.NDArray[np.float64]
GROUND_REFLECTIVITY = 0.18
ROUGHNESS = 0.012
#: No cloud of an agent is larger, from however many units it comes.
MAXIMUM_RETURNS = 190_000


@dataclass(frozen=True)
class Sweep:
    """Returns of one revolution of one unit, or of all units of an agent.

    Attributes:
        points: (P, 4) float32 in the agent's LiDAR frame; intensity is 0.
        owners: (P,) int32 index of the object hit, -1 for scenery and ground.
        hits: (objects,) int64 returns on each object.
    """

    points: npt.NDArray[np.float32]
    owners: npt.NDArray[np.int32]
    hits: npt.NDArray[np.int64]


def take_cloud(
    rng: np.random.Generator,
    units: Sequence[Unit],
    parts: PartSet,
    owners: npt.NDArray[np.int32],
    objects: int,
    pose: Pose6,
    ground: Ground,
    body: int = -1,
) -> Sweep:
    """Take a sweep with each unit and join them in the agent's LiDAR frame.

    Args:
        rng: as for :func:`take_sweep`.
        units: the agent's LiDARs.
        parts: as for :func:`take_sweep`.
        owners: as for :func:`take_sweep`.
        objects: number of objects.
        pose: pose of the agent's LiDAR frame in the scene.
        ground: the ground.
        body: as for :func:`take_sweep`.
    """
    agent, points, owner = matrix_from_v2x(np.array(pose)), [], []
    for unit in units:
        seen = take_sweep(
            rng, unit.sensor, parts, owners, objects, agent @ unit.to_agent, ground, body
        )
        points.append(unit.in_agent_frame(seen.points))
        owner.append(seen.owners)
    cloud, owned = np.concatenate(points), np.concatenate(owner)
    if len(cloud) > MAXIMUM_RETURNS:
        kept = np.sort(rng.choice(len(cloud), MAXIMUM_RETURNS, replace=False))
        cloud, owned = cloud[kept], owned[kept]
    return Sweep(cloud, owned, _hits(owned, objects))


def take_sweep(
    rng: np.random.Generator,
    sensor: SensorModel,
    parts: PartSet,
    owners: npt.NDArray[np.int32],
    objects: int,
    pose: FloatArray,
    ground: Ground,
    body: int = -1,
) -> Sweep:
    """Cast a revolution from ``pose`` and keep what the sensor would return.

    Args:
        rng: noise, losses and the first column's azimuth.
        sensor: the LiDAR.
        parts: all parts in the scene frame.
        owners: (K,) object index of each part, -1 for scenery.
        objects: number of objects.
        pose: (4, 4) sensor to scene.
        ground: the ground.
        body: index of the carrying object: it shadows, but its own returns are left out.
    """
    elevations, offsets = sensor.beam_angles, sensor.azimuth_offsets
    step = 2 * np.pi / sensor.columns
    phase = float(rng.uniform(0, step)) - np.pi
    seen = sensor.looks_at(phase + np.arange(sensor.columns, dtype=np.float64) * step)
    depth, part, cosine = cast_sweep(
        parts,
        pose,
        ground.parameters,
        elevations=elevations,
        azimuth_offsets=offsets,
        columns=sensor.columns,
        phase=phase,
        max_range=np.where(seen, sensor.max_range, 0.0),
        roughness=ROUGHNESS,
        salt=int(rng.integers(1 << 30)),
        terrain=ground.terrain,
    )
    # column by column, as a spinning sensor reports them
    found = (part != NO_PART) & (sensor.min_range <= depth)
    column, beam = np.divmod(np.flatnonzero(found.T), len(elevations))
    place = beam * sensor.columns + column
    distance, hit, incidence = (grid.ravel()[place] for grid in (depth, part, cosine))
    on_part = hit >= 0
    owner = np.where(on_part, owners[np.where(on_part, hit, 0)], -1) if len(owners) else hit * 0 - 1
    reflectivity = np.full(len(hit), GROUND_REFLECTIVITY)
    reflectivity[on_part] = parts.reflectivity[hit[on_part]]
    keep = rng.random(len(hit)) < sensor.keep_probability(distance, reflectivity, incidence)
    keep &= (owner != body) | (owner < 0)
    kept = np.flatnonzero(keep)
    column, beam = column[kept], beam[kept]
    distance = distance[kept] + rng.normal(0, 1, len(kept)) * sensor.range_noise
    azimuth = phase + column * step + offsets[beam]
    flat = distance * np.cos(elevations)[beam]
    points = np.zeros((len(kept), 4), np.float32)
    points[:, 0], points[:, 1] = flat * np.cos(azimuth), flat * np.sin(azimuth)
    points[:, 2] = distance * np.sin(elevations)[beam]
    owner = owner[kept].astype(np.int32)
    return Sweep(points, owner, _hits(owner, objects))


def _hits(owner: npt.NDArray[np.int32], objects: int) -> npt.NDArray[np.int64]:
    """Count the returns on each object."""
    return np.bincount(owner[owner >= 0], minlength=objects).astype(np.int64)
