# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mounts: tilted and at many heights, and levelling brings their clouds to one frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.core.placement.ground_plane import fit_ground
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS, SensorGround
from quantv2x_ros.data.simulator import SimulatedAgent, SimulatedFrame, simulate_scene
from quantv2x_ros.data.simulator.mounts import MOST_TILT, Mount
from quantv2x_ros.data.simulator.scene import Scene

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def mounts() -> list[tuple[Scene, Mount]]:
    scenes = [Scene.random(seed, 4) for seed in range(16)]
    return [(scene, mount) for scene in scenes for mount in scene.mounts.values()]


@pytest.fixture(scope="module")
def frames() -> list[SimulatedFrame]:
    return [next(simulate_scene(seed, frames=1, agents=4)) for seed in range(6)]


def test_mounts_are_tilted_by_up_to_three_degrees(mounts: list[tuple[Scene, Mount]]) -> None:
    for on_mast in (False, True):
        tilts = np.array([m.tilt for _, m in mounts if (m.object_id is None) == on_mast])
        tilted = np.abs(tilts[:, [0, 2]]).max(axis=1)
        assert tilted.max() <= MOST_TILT
        assert (tilted > 1.0).mean() > 0.2, "a good part is tilted"
        assert (tilted < 0.8).mean() > 0.1, "many stand straight"


def test_units_stand_at_many_heights(mounts: list[tuple[Scene, Mount]]) -> None:
    masts = [m.offset[2] - s.ground.height(*m.offset[:2]) for s, m in mounts if m.object_id is None]
    assert min(masts) < 3.5
    assert max(masts) > 5.0
    assert min(masts) > 1.5
    assert max(masts) < 8.3


def _bottoms(agent: SimulatedAgent, level: FloatArray, reach: float) -> list[float]:
    """Heights of the bottoms of vehicles in a frame, metres."""
    to_level = level @ invert(matrix_from_v2x(np.array(agent.pose6)))
    found = []
    for item in agent.objects:
        below = matrix_from_v2x(np.array([*item.location, *item.angle]))
        x, y, z = (to_level @ below @ np.array([0.0, 0.0, -item.extent[2], 1.0]))[:3]
        if item.extent[0] > 1.5 and np.hypot(x, y) < reach:
            found.append(z)
    return found


def test_levelling_brings_vehicles_to_the_height_that_the_model_knows(
    frames: list[SimulatedFrame],
) -> None:
    raw: list[float] = []
    levelled: list[float] = []
    clouds = fitted = 0
    for frame in frames:
        for agent in frame.agents.values():
            plane = fit_ground(agent.points)
            clouds += 1
            if plane is None:
                continue
            fitted += 1
            if plane.height > SENSOR_HEIGHTS[1] + 3.4:
                continue  # higher than a cloud is shifted
            level = SensorGround.of(plane).level(SENSOR_HEIGHTS)
            raw += _bottoms(agent, np.eye(4), 40.0)
            levelled += _bottoms(agent, level, 40.0)
    assert fitted >= 0.85 * clouds
    assert len(levelled) > 150
    height = -SENSOR_HEIGHTS[0]
    assert np.median(levelled) == pytest.approx(height, abs=0.15)
    spread, before = (np.ptp(np.percentile(b, [5, 95])) for b in (levelled, raw))
    assert spread < 1.2
    assert spread < 0.6 * before
