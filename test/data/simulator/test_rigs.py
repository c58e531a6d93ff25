# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rigs: several units see one world, and their points are one cloud in one frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate
from quantv2x_ros.data.simulator.rigs import Unit, is_narrow, roadside_rig, vehicle_rig
from quantv2x_ros.data.simulator.scene import Scene
from quantv2x_ros.data.simulator.sensors import SENSORS
from quantv2x_ros.data.simulator.sweep import MAXIMUM_RETURNS, Sweep, take_cloud

SIZE, OFFSET = (4.8, 1.9, 1.6), (0.1, 0.0, 1.2)
LEVEL = Ground(np.zeros((1, 4)))
WALLS = [((20, 0), (1, 42)), ((-20, 0), (1, 42)), ((0, 20), (42, 1)), ((0, -20), (42, 1))]
ROOM = concatenate([box((*c, 9), (*s, 20), reflectivity=0.9) for c, s in WALLS])


def quiet(unit: Unit) -> Unit:
    """The same unit without noise."""
    return replace(unit, sensor=replace(unit.sensor, range_noise=0.0))


def cloud(units: tuple[Unit, ...], parts: PartSet = ROOM, body: int = -1) -> Sweep:
    owners = np.arange(len(parts), dtype=np.int32)
    pose = (0.0, 0.0, 2.0, 0.0, 0.0, 0.0)
    rng = np.random.default_rng(0)
    return take_cloud(rng, units, parts, owners, len(parts), pose, LEVEL, body)


def rigs(count: int = 200) -> list[tuple[Unit, ...]]:
    return [vehicle_rig(np.random.default_rng(seed), SIZE, OFFSET) for seed in range(count)]


def test_vehicles_have_one_two_or_five_units() -> None:
    numbers = np.array([len(rig) for rig in rigs()])
    assert set(numbers) == {1, 2, 5}
    assert (numbers == 1).mean() > 0.5
    for rig in rigs():
        assert np.array_equal(rig[0].to_agent, np.eye(4)), "the first unit is the agent's frame"
        if len(rig) == 2:
            assert {len(unit.sensor.elevations) for unit in rig} == {32}
            assert 0.15 < np.linalg.norm(rig[1].pose[:3]) < 1.2
        if len(rig) == 5:
            assert {round(unit.to_agent[0, 3]) for unit in rig[1:]} == {2, -3}
            sides = {(np.sign(u.to_agent[0, 3]), np.sign(u.to_agent[1, 3])) for u in rig[1:]}
            assert len(sides) == 4, "one at each corner"


@pytest.mark.parametrize("number", [2, 5])
def test_points_of_all_units_lie_on_the_same_surfaces(number: int) -> None:
    rig = tuple(quiet(unit) for unit in next(r for r in rigs() if len(r) == number))
    seen = cloud(rig)
    x, y, z = (seen.points[:, axis].astype(float) for axis in range(3))
    on_ground = np.abs(z + 2.0) < 0.02
    on_wall = np.abs(np.maximum(np.abs(x), np.abs(y)) - 19.5) < 0.01
    assert (on_ground | on_wall).mean() == 1.0
    assert on_ground.sum() > 1000
    assert on_wall.sum() > 1000
    alone = cloud(rig[:1])
    assert len(seen.points) > 1.1 * len(alone.points)
    assert (seen.hits == np.bincount(seen.owners[seen.owners >= 0], minlength=4)).all()
    assert seen.points.dtype == np.float32


def test_a_roof_with_corners_returns_many_and_never_too_many() -> None:
    counts = [len(cloud(rig).points) for rig in rigs(120) if len(rig) == 5]
    assert max(counts) > 150_000
    assert max(counts) <= MAXIMUM_RETURNS == 190_000
    twice = (Unit(SENSORS["roof64"]), Unit(SENSORS["roof64"], (0.0, 0.0, 0.5, 0.0, 0.0, 0.0)))
    assert len(cloud(twice).points) == MAXIMUM_RETURNS


def test_corner_units_see_the_kerb_beside_the_body_that_hides_it_from_the_roof() -> None:
    body = box((0.0, 0.0, 0.85), SIZE)
    rig = next(r for r in rigs() if len(r) == 5)

    def beside(seen: Sweep) -> int:
        x, y = np.abs(seen.points[:, 0]), np.abs(seen.points[:, 1])
        return int(((x < 3.5) & (y > 1.0) & (y < 1.6)).sum())

    parts = concatenate([body, ROOM])
    whole, roof = cloud(rig, parts, body=0), cloud(rig[:1], parts, body=0)
    assert beside(whole) > beside(roof) + 100
    assert not (whole.owners == 0).any(), "the own body is left out of every unit's returns"


def test_a_share_of_roadside_units_is_narrow_and_stands_high() -> None:
    narrow = [is_narrow(roadside_rig(np.random.default_rng(seed))) for seed in range(200)]
    assert 0.15 < np.mean(narrow) < 0.35
    found = 0
    for seed in range(20):
        scene = Scene.random(seed, 2)
        mount = scene.mounts["-1"]
        if not is_narrow(mount.units):
            continue
        found += 1
        lift = mount.offset[2] - scene.ground.height(mount.offset[0], mount.offset[1])
        assert 5.7 < lift < 8.3
        points = scene.observe(0, 0.0).agents["-1"].points
        azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
        assert np.abs(azimuth).max() < 51.0
        elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
        assert np.ptp(elevation) < 21.0
    assert found >= 2


def test_a_unit_moves_its_points_into_the_agents_frame() -> None:
    unit = Unit(SENSORS["corner32"], (2.0, 1.0, -1.0, 0.0, 90.0, 0.0))
    points = np.array([[3.0, 0.0, 0.5, 0.0]], np.float32)
    moved: npt.NDArray[np.float32] = unit.in_agent_frame(points)
    np.testing.assert_allclose(moved[0], (2.0, 4.0, -0.5, 0.0), atol=1e-6)
    np.testing.assert_allclose(unit.to_agent, matrix_from_v2x(np.array(unit.pose)))
