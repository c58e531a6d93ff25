# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a scene holds: how many objects, how large, how dense, and how they are labelled."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.data.simulator.cars import MARKETS, car
from quantv2x_ros.data.simulator.clearance import Clearance
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.headcount import EMPTY_SHARE, Population
from quantv2x_ros.data.simulator.labelling import WITHOUT_MIRRORS, Labelling
from quantv2x_ros.data.simulator.layouts import LAYOUTS
from quantv2x_ros.data.simulator.people import pedestrian, rider
from quantv2x_ros.data.simulator.population import CAR_TYPES, Populator
from quantv2x_ros.data.simulator.scene import Scene
from quantv2x_ros.data.simulator.vegetation import hedge, tree
from quantv2x_ros.data.simulator.vehicles import truck, van
from quantv2x_ros.data.v2x_real import OBJECT_TYPES

SCENES = [Scene.random(seed, 1) for seed in range(24)]


def test_some_scenes_are_nearly_empty_and_others_crowded() -> None:
    counts = []
    for seed in range(200):
        numbers = Population.random(np.random.default_rng(seed), 40)
        counts.append(numbers.vehicles + numbers.large + numbers.people)
    few = np.mean(np.array(counts) <= 7)
    assert few == pytest.approx(EMPTY_SHARE, abs=0.07)
    assert np.percentile(counts, 90) > 50


def test_an_empty_scene_is_full_of_scenery() -> None:
    objects = [len(scene.traffic.actors) for scene in SCENES]
    emptiest = SCENES[int(np.argmin(objects))]
    assert min(objects) <= 8 < 20 < max(objects)
    parts = emptiest.static_parts.corners
    low = parts[..., 2].min(axis=1)
    center = parts.mean(axis=1)
    ground = np.array([emptiest.ground.height(x, y) for x, y, _ in center])
    at_car_height = (low < ground + 1.5) & (np.hypot(*center[:, :2].T) < 60)
    assert at_car_height.sum() > 200


def test_a_fifth_of_the_cars_are_small_and_markets_differ() -> None:
    rng = np.random.default_rng(0)
    markets = {name: np.array([car(rng, market=name).size for _ in range(300)]) for name in MARKETS}
    means = {name: sizes.mean(axis=0) for name, sizes in markets.items()}
    assert means["small"][0] < 3.95 < 4.5 < means["large"][0]
    assert means["small"][1] * WITHOUT_MIRRORS < 1.7
    assert means["large"][1] > 1.98
    cars = [a.shape.size for s in SCENES for a in s.traffic.actors if a.shape.obj_type in CAR_TYPES]
    length, width, _ = np.array(cars).T
    small = (length < 4.0) & (width * WITHOUT_MIRRORS < 1.75)
    assert 0.12 < small.mean() < 0.35
    assert 3.2 < np.percentile(length, 5) < 3.75


def test_boxes_are_drawn_alike_within_a_scene_and_differently_between_scenes() -> None:
    rng = np.random.default_rng(2)
    shape, heavy, person = car(rng), truck(rng), pedestrian(rng)
    drawn = [Labelling.random(np.random.default_rng(seed)) for seed in range(60)]
    added = np.array([np.subtract(d.size(shape), shape.size) for d in drawn])
    assert (added[:, 0] < 0).any()
    assert (added[:, 0] > 0.1).any()
    assert np.abs(added[:, [0, 2]]).max() < 0.25
    without = [d for d in drawn if not d.mirrors]
    assert 15 < len(without) < 45
    for labelling in without:
        assert labelling.size(shape)[1] < shape.size[1] * WITHOUT_MIRRORS + 0.11
        assert abs(labelling.size(heavy)[1] - heavy.size[1]) < 0.11
    assert {d.size(person)[0] - person.size[0] > 0 for d in drawn} == {True, False}


def test_a_scenes_boxes_are_its_labellings() -> None:
    scene = SCENES[1]
    frame = scene.observe(0, 0.0)
    for actor, item in zip(scene.traffic.actors, frame.objects, strict=True):
        size = scene.populator.labelling.size(actor.shape)
        np.testing.assert_allclose(np.array(item.extent) * 2, size)


def test_riders_are_one_body_of_a_person_class_and_people_are_as_wide_as_long() -> None:
    rng = np.random.default_rng(5)
    riders = [rider(rng) for _ in range(200)]
    assert {OBJECT_TYPES[r.obj_type] for r in riders} == {"pedestrian"}
    assert {r.obj_type for r in riders} == {"BicycleRider", "ScooterRider", "MotorcyleRider"}
    length, width, _ = np.array([r.size for r in riders]).T
    assert 1.65 < np.percentile(length, 15) < np.percentile(length, 85) < 2.1
    assert 0.65 < np.median(width) < 0.85
    walking = np.array([pedestrian(rng).size for _ in range(200)])
    standing = np.array([pedestrian(rng, standing=True).size for _ in range(200)])
    assert np.median(walking[:, :2], axis=0) == pytest.approx([0.7, 0.7], abs=0.08)
    assert np.median(standing[:, 0]) < 0.55


def test_people_come_in_groups_and_riders_on_the_road() -> None:
    people = [[a for a in s.traffic.actors if a.shape.obj_type == "Pedestrian"] for s in SCENES]
    grouped = 0
    for crowd in people:
        at = np.array([a.place[:2] for a in crowd]).reshape(-1, 2)
        gaps = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + 99 * np.eye(len(at))
        grouped += int((gaps.min(axis=1, initial=99) < 1.5).sum())
    assert grouped > 10
    actors = [a for s in SCENES for a in s.traffic.actors if a.shape.obj_type.endswith("Rider")]
    assert any(a.walks for a in actors)
    assert any(not a.walks and a.path is not None for a in actors)


def _gaps(scene: Scene) -> list[float]:
    """Free space between neighbouring parked cars that stand side by side."""
    parked = [a for a in scene.traffic.actors if a.path is None and a.shape.size[0] > 3]
    gaps = []
    for i, one in enumerate(parked):
        for other in parked[i + 1 :]:
            x, y, yaw = one.place
            dx, dy = other.place[0] - x, other.place[1] - y
            along = abs(dx * np.cos(yaw) + dy * np.sin(yaw))
            aside = abs(-dx * np.sin(yaw) + dy * np.cos(yaw))
            if along < 1.0 and aside < 4.0:
                gaps.append(aside - (one.shape.size[1] + other.shape.size[1]) / 2)
    return gaps


def test_cars_stand_side_by_side_as_close_as_their_doors_allow() -> None:
    gaps = [gap for scene in SCENES for gap in _gaps(scene)]
    assert len(gaps) > 20
    assert min(gaps) > 0.1
    assert np.mean([0.3 < gap < 1.0 for gap in gaps]) > 0.5


def test_driveways_stay_free_for_cars_and_are_lined_by_scenery() -> None:
    free = lined = total = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        plan = LAYOUTS["road"](rng)
        ground = Ground(np.zeros((1, 4)))
        drives = [f.keywords["driveways"] for f in plan.furnishers if "driveways" in f.keywords]
        if not any(drives):
            continue
        parts = plan.static_parts(rng, ground)
        populator = Populator(rng, plan, ground, parts)
        count = sum(len(d) for d in drives)
        for place in plan.slots:
            x, y, yaw = place
            near = parts.select(np.hypot(*(parts.corners.mean(axis=1)[:, :2] - (x, y)).T) < 9)
            side = np.array(
                [
                    [
                        x + a * np.cos(yaw) - b * np.sin(yaw),
                        y + a * np.sin(yaw) + b * np.cos(yaw),
                        0.5,
                    ]
                    for a in np.linspace(-1.5, 1.5, 7)
                    for b in (-1.75, 1.75)
                ]
            )
            lined += near.contains(side).any()
            free += populator._clearance.allows(place, (3.8, 1.7, 1.5))
        total += len(plan.slots)
        assert count > 2
    assert total > 50
    assert free / total > 0.6  # others lie under low boughs or beside posts
    assert lined > 10


def test_vans_of_a_cars_size_stand_among_the_cars() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([van(rng).size[0] for _ in range(200)])
    assert 0.15 < (lengths < 4.9).mean() < 0.6
    parked = [a for s in SCENES for a in s.traffic.actors if a.path is None]
    assert any(a.shape.obj_type == "Van" for a in parked)


def test_leaves_above_a_car_are_no_obstacle_but_a_hedge_is() -> None:
    ground, rng = Ground(np.zeros((1, 4))), np.random.default_rng(3)
    shifted = np.eye(4)
    shifted[1, 3] = 1.6
    beside = Clearance(tree(rng, low=True).transformed(shifted), ground)
    assert beside.allows((0.0, 0.0, 0.0), (4.5, 1.8, 2.4))
    assert not beside.allows((0.0, 1.6, 0.0), (4.5, 1.8, 2.4)), "the trunk"
    assert not Clearance(hedge(rng, 6.0), ground).allows((0.0, 0.4, 0.0), (4.5, 1.8, 1.5))
