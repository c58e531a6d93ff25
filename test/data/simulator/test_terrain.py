# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Terrain: level where things drive, seen where it is, and stood upon at its height."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator import scene as scene_module
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.heightfield import HeightField
from quantv2x_ros.data.simulator.layouts import LAYOUTS
from quantv2x_ros.data.simulator.primitives import concatenate
from quantv2x_ros.data.simulator.raycast import GROUND, cast_sweep
from quantv2x_ros.data.simulator.scene import Scene
from quantv2x_ros.data.simulator.terrain import CELL, NODES, REACH, Corridor, distance_to, relief

FloatArray = npt.NDArray[np.float64]
BEAMS = np.deg2rad(np.linspace(-20, 8, 24))
COLUMNS = 240


def cast(terrain: HeightField, pose: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cast a revolution at bare ground; return depth, world directions and cosines."""
    depth, part, cosine = cast_sweep(
        concatenate([]),
        pose,
        np.zeros((1, 4)),
        elevations=BEAMS,
        azimuth_offsets=np.zeros(len(BEAMS)),
        columns=COLUMNS,
        phase=0.0,
        max_range=100.0,
        roughness=0.0,
        salt=1,
        terrain=terrain,
    )
    azimuth = np.arange(COLUMNS) * 2 * np.pi / COLUMNS
    flat, up = np.cos(BEAMS)[:, None], np.sin(BEAMS)[:, None] + 0 * azimuth
    local = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=-1)
    return np.where(part == GROUND, depth, np.inf), local @ pose[:3, :3].T, cosine


def rugged(seed: int, layout: str = "road") -> tuple[Ground, FloatArray]:
    rng = np.random.default_rng(seed)
    plan = LAYOUTS[layout](rng)
    heights = relief(rng, plan.corridors())
    return Ground.random(rng).with_relief(heights), heights


def test_a_height_field_is_exact_at_nodes_and_bilinear_between() -> None:
    heights = np.array([[0.0, 1.0, 4.0], [2.0, 3.0, 5.0]])
    field = HeightField.from_heights(heights, (10.0, 20.0, 2.0))
    assert [field.height(x, 20.0) for x in (10.0, 12.0, 14.0)] == [0.0, 1.0, 4.0]
    assert field.height(11.0, 21.0) == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert field.height(-50.0, 90.0) == 2.0, "constant beyond the edge"


@pytest.mark.parametrize(
    ("heights", "spacing"),
    [(np.zeros((1, 5)), 1.0), (np.zeros((5, 5)), 0.0), (np.full((3, 3), np.nan), 1.0)],
)
def test_impossible_height_fields_are_refused(heights: FloatArray, spacing: float) -> None:
    with pytest.raises(ValueError, match="HeightField"):
        HeightField.from_heights(heights, (0.0, 0.0, spacing))


@pytest.mark.parametrize("seed", range(6))
def test_every_ray_ends_where_it_first_meets_the_terrain(seed: int) -> None:
    ground, _ = rugged(seed)
    assert ground.terrain is not None
    pose = matrix_from_v2x(np.array([3.0, 1.0, ground.height(3, 1) + 2.2, 1.5, 40.0, -1.0]))
    depth, direction, cosine = cast(ground.terrain, pose)
    steps = np.arange(0.1, 100.0, 0.1)
    wrong = late = hits = 0
    for beam, column in np.ndindex(len(BEAMS), COLUMNS // 16):
        t, ray = depth[beam, column * 16], direction[beam, column * 16]
        line = pose[:3, 3] + steps[:, None] * ray
        gap = line[:, 2] - [ground.height(x, y) for x, y, _ in line]
        if np.isfinite(t):
            x, y, z = pose[:3, 3] + t * ray
            hits += 1
            wrong += abs(z - ground.height(x, y)) > 0.002
            assert 0 < cosine[beam, column * 16] <= 1
        late += bool((gap[steps < min(t, 99.0) - 0.2] < -0.02).any())
    assert hits > 100
    assert wrong == 0
    assert late == 0, "passed through the ground"


def test_the_distance_field_measures_from_the_corridors_edge() -> None:
    line = np.stack([np.arange(-150, 150, CELL), np.zeros(600)], axis=1)
    distance = distance_to([Corridor(line, 4.0), Corridor(np.array([[0.0, 40.0]]), 2.0)])

    def at(x: float, y: float) -> float:
        return float(distance[round((y + REACH) / CELL), round((x + REACH) / CELL)])

    assert at(10, 3) == 0.0
    assert at(10, -14) == pytest.approx(10.0, abs=CELL)
    assert at(0, 41) == 0.0
    assert at(12, 45) == pytest.approx(11.0, abs=0.8)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_lanes_slots_and_sidewalks_are_level_and_the_land_beside_is_not(layout: str) -> None:
    highest = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        plan = LAYOUTS[layout](rng)
        corridors = plan.corridors()
        field = HeightField.from_heights(relief(rng, corridors), (-REACH, -REACH, CELL))
        spots = [c.points[::7] for c in corridors] + [np.array(plan.slots).reshape(-1, 3)[:, :2]]
        level = [field.height(x, y) for x, y in np.concatenate(spots)]
        assert np.abs(level).max() == 0.0
        highest.append(np.percentile(np.abs(field.heights), 90))
    assert max(highest) > 1.0


def test_terrain_rises_in_some_scenes_and_falls_in_others() -> None:
    corridor = Corridor(np.stack([np.arange(-150, 150, CELL), np.zeros(600)], axis=1), 6.0)
    means = [float(relief(np.random.default_rng(s), [corridor]).mean()) for s in range(16)]
    assert max(means) > 1.0
    assert min(means) < -0.5


def test_about_half_of_all_scenes_have_terrain() -> None:
    with_terrain = [Scene.random(seed, 1).ground.has_relief for seed in range(24)]
    assert 6 <= sum(with_terrain) <= 18


@pytest.fixture(params=[2, 5])
def hilly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(scene_module, "TERRAIN_SHARE", 1.0)
    return Scene.random(request.param, 2)


def test_objects_stand_on_the_terrain(hilly: Scene) -> None:
    assert hilly.ground.terrain is not None
    for actor in hilly.traffic.actors:
        x, y, z, roll, _, pitch = hilly.body_pose(actor)
        bottom = z - actor.shape.size[2] / 2
        over_kerbs = 0.2 if actor.shape.size[0] > 8.0 else 0.12  # the tail of a bus that turns
        assert bottom == pytest.approx(hilly.ground.height(x, y), abs=over_kerbs)
        assert max(abs(roll), abs(pitch)) < 6.0


def test_scenery_reaches_down_to_the_terrain(hilly: Scene) -> None:
    """Of every thing near, some part begins at or below the ground under its centre."""
    parts = hilly.static_parts
    center = parts.corners.mean(axis=1)
    low = parts.corners[..., 2].min(axis=1)
    ground = np.array([hilly.ground.height(x, y) for x, y, _ in center])
    grounded = low <= ground + 0.05
    for index in np.nonzero(~grounded)[0]:  # crowns, signs and rails stand on something
        near = np.hypot(*(center[grounded, :2] - center[index, :2]).T)
        assert near.min() < 8.0
    assert grounded.mean() > 0.3


def test_returns_lie_in_boxes_or_on_the_terrain(hilly: Scene) -> None:
    frame = hilly.observe(0, 0.0)
    below = total = inside = owned = 0
    for name, agent in frame.agents.items():
        assert agent.points.shape[0] > 3000, name
        pose = matrix_from_v2x(np.array(agent.pose6))
        world = agent.points[:, :3] @ pose[:3, :3].T + pose[:3, 3]
        map_frame = hilly.map_frame
        turn = np.array(
            [
                [np.cos(map_frame.yaw), np.sin(map_frame.yaw)],
                [-np.sin(map_frame.yaw), np.cos(map_frame.yaw)],
            ]
        )
        flat = (world[:, :2] - (map_frame.x, map_frame.y)) @ turn.T
        z = world[:, 2] - map_frame.z
        for (x, y), height in zip(flat[::9], z[::9], strict=True):
            below += height < hilly.ground.height(x, y) - 0.15
            total += 1
        for item in agent.objects:
            box = np.linalg.inv(matrix_from_v2x(np.array([*item.location, *item.angle])))
            own = world[agent.point_objects == item.object_id]
            local = np.abs(own @ box[:3, :3].T + box[:3, 3])
            inside += int(np.all(local <= np.array(item.extent) + 0.05, axis=1).sum())
            owned += len(own)
    assert below / total < 0.02
    assert inside / owned > 0.95


def test_terrain_is_deterministic() -> None:
    assert np.array_equal(rugged(3)[1], rugged(3)[1])
    assert rugged(3)[1].shape == (NODES, NODES)
    assert not np.array_equal(rugged(3)[1], rugged(4)[1])
