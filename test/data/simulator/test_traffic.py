# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How traffic moves."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.data.simulator.cars import car
from quantv2x_ros.data.simulator.layouts import Route, Signal
from quantv2x_ros.data.simulator.paths import curve, straight, turn
from quantv2x_ros.data.simulator.people import pedestrian
from quantv2x_ros.data.simulator.scene import Scene
from quantv2x_ros.data.simulator.traffic import Actor, Traffic, driving

RNG = np.random.default_rng(0)
SHAPE = car(RNG)
LANE = straight((0, 0), (400, 0))


def run(traffic: Traffic, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        traffic.step(0.1)


def test_a_free_vehicle_reaches_its_speed_and_moves_by_it() -> None:
    actor = driving(1, SHAPE, Route(LANE, 12.0), 20.0, 5.0)
    traffic = Traffic([actor])
    run(traffic, 15)
    assert actor.speed == pytest.approx(12.0, abs=0.5)
    before, speed = actor.place[0], actor.speed
    traffic.step(0.1)
    assert actor.place[0] - before == pytest.approx(speed * 0.1, abs=0.02)


def test_one_long_step_equals_many_short_ones() -> None:
    one = driving(1, SHAPE, Route(LANE, 12.0), 20.0, 5.0)
    many = driving(1, SHAPE, Route(LANE, 12.0), 20.0, 5.0)
    Traffic([one]).step(2.0)
    run(Traffic([many]), 2.0)
    assert one.s == pytest.approx(many.s, abs=1e-9)


def test_a_follower_keeps_its_distance_to_a_standing_vehicle() -> None:
    standing = Actor(1, SHAPE, (200.0, 0.0, 0.0))
    follower = driving(2, SHAPE, Route(LANE, 15.0), 20.0, 15.0)
    run(Traffic([standing, follower]), 40)
    gap = 200.0 - follower.place[0] - SHAPE.size[0]
    assert 0.5 < gap < 8.0
    assert follower.speed < 0.3


def test_a_vehicle_stops_for_a_pedestrian_on_its_lane() -> None:
    person = Actor(1, pedestrian(RNG), (150.0, 0.3, 0.0))
    vehicle = driving(2, SHAPE, Route(LANE, 10.0), 60.0, 10.0)
    run(Traffic([person, vehicle]), 30)
    assert vehicle.place[0] + SHAPE.size[0] / 2 < 149.7


def test_a_vehicle_waits_at_red_and_leaves_at_green() -> None:
    signal = Signal(groups=(0, 1), period=20.0, start=0.0)
    vehicle = driving(1, SHAPE, Route(LANE, 10.0, stop=100.0, group=1), 40.0, 10.0)
    traffic = Traffic([vehicle], signal=signal)
    run(traffic, 19.0)
    assert 85.0 < vehicle.s + SHAPE.size[0] / 2 < 100.5
    assert vehicle.speed < 0.3
    run(traffic, 12.0)
    assert vehicle.s > 110.0


def test_lights_are_never_green_for_two_groups() -> None:
    signal = Signal(groups=(0, 1, 2, 3), period=12.0, start=7.0)
    for time in np.arange(0, 100, 0.5):
        assert sum(signal.green(group, time) for group in range(4)) <= 1
    for group in range(4):
        assert any(signal.green(group, time) for time in np.arange(0, 48, 0.5))


def test_people_turn_round_and_vehicles_leave_at_the_end() -> None:
    short = straight((0, 0), (10, 0))
    person = Actor(1, pedestrian(RNG), (0, 0, 0), short, 9.0, 1.5, 1.5, walks=True)
    vehicle = driving(2, SHAPE, Route(straight((0, 9), (30, 9)), 10.0), 25.0, 10.0)
    traffic = Traffic([person, vehicle])
    run(traffic, 3)
    assert [actor.object_id for actor in traffic.actors] == [1]
    assert 0 <= person.place[0] < 9.0
    assert abs(abs(person.place[2]) - np.pi) < 1e-6


def test_an_offset_path_keeps_its_distance() -> None:
    axis = curve(200, 1 / 80)
    lane = axis.offset(4.0)
    center = np.array([0.0, 80.0])
    assert np.allclose(np.hypot(*(lane.points - center).T), 76.0, atol=0.02)


def test_a_turn_has_no_jumps() -> None:
    path = turn(straight((-50, -2), (-8, -2)), straight((2, -8), (2, -50)))
    headings = np.unwrap([path.heading(s) for s in np.arange(0, path.length, 0.5)])
    assert np.abs(np.diff(headings)).max() < 0.25
    assert headings[-1] == pytest.approx(-np.pi / 2)
    assert np.diff(path.arc).max() < 3.0


@pytest.mark.parametrize("layout", ["road", "intersection", "parking"])
def test_nobody_drives_through_anybody(layout: str) -> None:
    scene = Scene.random(5, 3, layout)
    for _ in range(8):
        scene.advance(0.5)
        actors = [a for a in scene.traffic.actors if not a.walks]
        for i, actor in enumerate(actors):
            moving = [b for b in actors[i + 1 :] if actor.path or b.path]
            assert actor.fits(moving, -0.5), f"object {actor.object_id}"


def test_traffic_that_leaves_is_replaced() -> None:
    scene = Scene.random(4, 2, "road")
    before = {a.object_id for a in scene.traffic.actors if a.path and not a.walks}
    for _ in range(50):
        scene.advance(0.5)
    after = {a.object_id for a in scene.traffic.actors if a.path and not a.walks}
    assert after - before
    assert len(after) > 0.5 * len(before)
    assert 1 in after
