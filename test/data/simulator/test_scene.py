# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenes: what the agents see agrees with the truth and with each other."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator import SimulatedFrame, SimulatedObject, simulate_scene
from quantv2x_ros.data.simulator.mounts import agent_ids
from quantv2x_ros.data.simulator.population import NoPlaceError
from quantv2x_ros.data.simulator.scene import Scene

FloatArray = npt.NDArray[np.float64]
LAYOUTS = ("road", "intersection", "parking")
NARROW_SEED = 600558


@pytest.fixture(scope="module", params=LAYOUTS)
def frames(request: pytest.FixtureRequest) -> list[SimulatedFrame]:
    return list(simulate_scene(21, frames=3, agents=4, layout=request.param))


def to_map(points: npt.NDArray[np.float32], pose6: tuple[float, ...]) -> FloatArray:
    matrix = matrix_from_v2x(np.array(pose6))
    return np.asarray(points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3], np.float64)


def in_box(points: FloatArray, item: SimulatedObject, margin: float) -> npt.NDArray[np.bool_]:
    matrix = np.linalg.inv(matrix_from_v2x(np.array([*item.location, *item.angle])))
    local = points @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(np.all(np.abs(local) <= np.array(item.extent) + margin, axis=1))


def test_a_street_without_room_for_every_agent_is_drawn_anew() -> None:
    # the first street of this seed has no site for the second roadside unit
    with pytest.raises(NoPlaceError, match="agent -2"):
        Scene._draw(NARROW_SEED, 0, 4, None, 3.0)
    frame = next(iter(simulate_scene(NARROW_SEED, frames=1, agents=4, crowd=3.0)))
    assert set(frame.agents) == {"1", "-1", "2", "-2"}


def test_more_agents_than_any_street_holds_are_refused() -> None:
    with pytest.raises(NoPlaceError, match="agent"):
        next(iter(simulate_scene(4, frames=1, agents=60)))


def test_the_same_seed_gives_the_same_scene() -> None:
    first, second = (list(simulate_scene(4, frames=2, agents=2)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.objects == other.objects
        for name, agent in one.agents.items():
            assert agent.pose6 == other.agents[name].pose6
            np.testing.assert_array_equal(agent.points, other.agents[name].points)


def test_another_seed_gives_another_scene() -> None:
    first, second = (next(simulate_scene(seed, frames=1, agents=1)) for seed in (4, 5))
    assert first.objects != second.objects


def test_agents_are_named_as_in_v2x_real_and_in_range(frames: list[SimulatedFrame]) -> None:
    agents = frames[0].agents
    assert list(agents) == ["1", "-1", "2", "-2"] == agent_ids(4)
    ego = agents["1"].pose6
    for name, agent in agents.items():
        assert agent.infrastructure == name.startswith("-")
        assert np.hypot(agent.pose6[0] - ego[0], agent.pose6[1] - ego[1]) < 70
        assert abs(agent.pose6[3]) < 8
        assert abs(agent.pose6[5]) < 8
        assert 3_000 < len(agent.points) <= 190_000


def test_each_agents_returns_from_an_object_lie_in_its_box(frames: list[SimulatedFrame]) -> None:
    for frame in frames[::2]:
        inside = total = 0
        for agent in frame.agents.values():
            points = to_map(agent.points, agent.pose6)
            for item in agent.objects:
                own = points[agent.point_objects == item.object_id]
                hit = in_box(own, item, 0.07)  # some annotators draw boxes a little inside
                assert hit.mean() >= 0.75 or len(own) < 20
                inside, total = inside + int(hit.sum()), total + len(own)
        assert total > 2000
        assert inside / total >= 0.97


def test_the_union_of_clouds_fills_the_truth(frames: list[SimulatedFrame]) -> None:
    frame = frames[0]
    union = np.concatenate([to_map(a.points, a.pose6) for a in frame.agents.values()])
    seen = [item for item in frame.objects if item.points >= 30][:10]
    assert len(seen) >= 4
    for item in seen:
        assert in_box(union, item, 0.05).sum() >= 0.9 * item.points


def test_agents_see_the_ground_at_one_height(frames: list[SimulatedFrame]) -> None:
    cells: dict[tuple[int, int], list[float]] = {}
    for agent in frames[0].agents.values():
        near = np.hypot(agent.points[:, 0], agent.points[:, 1]) < 30
        cloud = to_map(agent.points[near & (agent.point_objects == 0)], agent.pose6)
        keys = np.floor(cloud[:, :2]).astype(int)
        lowest: dict[tuple[int, int], float] = {}
        for (x, y), z in zip(keys.tolist(), cloud[:, 2].tolist(), strict=True):
            lowest[x, y] = min(lowest.get((x, y), np.inf), z)
        for key, value in lowest.items():
            cells.setdefault(key, []).append(value)
    shared = np.array([max(v) - min(v) for v in cells.values() if len(v) > 1])
    assert len(shared) > 50
    # elsewhere one of them sees only what stands on the ground
    assert np.percentile(shared, 40) < 0.05


def test_listed_objects_have_five_returns_and_are_near(frames: list[SimulatedFrame]) -> None:
    for agent in frames[0].agents.values():
        for item in agent.objects:
            distance = np.hypot(*(np.array(item.location) - agent.pose6[:3])[:2])
            assert item.points == (agent.point_objects == item.object_id).sum() >= 5
            assert distance <= 120


def test_cooperation_shows_objects_that_the_ego_cannot_see() -> None:
    hidden = 0
    for seed in range(3):
        frame = next(simulate_scene(seed, frames=1, agents=3))
        own = {item.object_id for item in frame.agents["1"].objects}
        peers = {o.object_id for a in frame.agents.values() for o in a.objects}
        hidden += len(peers - own - {1})
    assert hidden >= 3


def test_an_agent_does_not_list_its_own_body_but_others_may(frames: list[SimulatedFrame]) -> None:
    frame = frames[0]
    for name, agent in frame.agents.items():
        if not agent.infrastructure:
            assert int(name) not in {item.object_id for item in agent.objects}
            assert not (agent.point_objects == int(name)).any()
            body = next(item for item in frame.objects if item.object_id == int(name))
            assert np.hypot(*(np.array(body.location) - agent.pose6[:3])[:2]) < 1.0
            assert 1.6 < agent.pose6[2] - (body.location[2] - body.extent[2]) < 2.9


def test_objects_keep_their_identity_and_move_by_their_speed(frames: list[SimulatedFrame]) -> None:
    moved = 0
    for before, after in itertools.pairwise(frames):
        later = {item.object_id: item for item in after.objects}
        assert after.time - before.time == pytest.approx(0.1)
        for item in before.objects:
            if item.object_id not in later:
                continue
            other = later[item.object_id]
            assert (item.extent, item.obj_type) == (other.extent, other.obj_type)
            step = np.hypot(*(np.array(other.location) - item.location)[:2])
            assert step == pytest.approx(other.speed * 0.1, abs=0.12)
            moved += step > 0.2
    assert moved > 3


def test_a_lower_rate_moves_things_further() -> None:
    slow = list(simulate_scene(21, frames=2, agents=1, layout="road", rate_hz=2.0))
    later = {item.object_id: item for item in slow[1].objects}
    steps = [
        np.hypot(*(np.array(later[o.object_id].location) - o.location)[:2])
        for o in slow[0].objects
        if o.object_id in later
    ]
    assert max(steps) > 2.0
    assert slow[1].time == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0, "agents": 2}, "must be positive"),
        ({"frames": 1, "agents": 0}, "at least 1"),
        ({"frames": 1, "agents": 1, "rate_hz": 0.0}, "must be positive"),
        ({"frames": 1, "agents": 1, "layout": "moon"}, "choose from"),
        ({"frames": 1, "agents": 1, "crowd": 11.0}, "allowed is 0 to 10"),
    ],
)
def test_impossible_scenes_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(simulate_scene(0, **arguments))  # type: ignore[arg-type]


def test_a_crowd_multiplies_people_and_large_vehicles_but_not_cars() -> None:
    def counts(crowd: float) -> tuple[int, int]:
        common = rare = 0
        for seed in (3, 8):
            for item in next(simulate_scene(seed, frames=1, agents=1, crowd=crowd)).objects:
                if item.obj_type in ("Car", "LongVehicle", "PoliceCar"):
                    common += 1
                else:
                    rare += 1
        return common, rare

    cars, rare = counts(1.0)
    more_cars, more_rare = counts(3.0)
    assert more_rare > 2 * rare
    assert more_cars == pytest.approx(cars, rel=0.3)
