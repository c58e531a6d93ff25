# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streets climb, crest, fall to their sides, and lie below their sidewalks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.data.simulator.layouts import LAYOUTS
from quantv2x_ros.data.simulator.scene import Scene
from quantv2x_ros.data.simulator.surface import (
    STEEPEST,
    crown,
    grade_line,
    grades,
    raised,
    street_heights,
)
from quantv2x_ros.data.simulator.terrain import CELL, NODES, REACH, Corridor

FloatArray = npt.NDArray[np.float64]
LINE = np.stack([np.arange(-150, 150, CELL), np.zeros(600)], axis=1)


def value(field: FloatArray, x: float, y: float) -> float:
    return float(field[round((y + REACH) / CELL), round((x + REACH) / CELL)])


def test_grades_are_flat_steady_or_rolling_and_no_steeper_than_six_percent() -> None:
    tables = [grades(np.random.default_rng(seed), 300.0) for seed in range(200)]
    assert all(len(table) == 601 and np.abs(table).max() <= STEEPEST + 1e-9 for table in tables)
    steepest = np.array([np.abs(table[200:401]).max() for table in tables])
    changes = np.array([np.ptp(table[200:401]) for table in tables])
    assert 0.2 < (steepest < 0.02).mean() < 0.5, "many streets stay flat"
    assert (steepest > 0.02).mean() > 0.5, "a good part climbs"
    assert 0.25 < (changes > 0.03).mean() < 0.5, "and has a crest or a sag within 50 m"


def test_grades_change_slowly_as_vertical_curves_do() -> None:
    for seed in range(60):
        table = grades(np.random.default_rng(seed), 300.0)
        assert np.abs(np.diff(table)).max() / CELL < 0.0045, "a radius of more than 220 m"


def test_a_grade_line_climbs_along_its_heading_from_a_middle_at_zero() -> None:
    for seed in range(12):
        z = grade_line(np.random.default_rng(seed), np.pi / 2)
        assert value(z, 0, 0) == pytest.approx(0.0, abs=1e-9)
        along, across = np.gradient(z, CELL)
        assert np.abs(along).max() <= STEEPEST + 1e-9
        assert np.abs(across).max() <= 0.03 + 1e-9
        assert np.ptp(across) < 1e-9, "across it is one plane"


def test_streets_fall_from_their_crown_to_both_sides() -> None:
    z = crown(np.random.default_rng(1), [LINE])
    assert value(z, 3, 0) == 0.0
    assert value(z, 3, 4) == pytest.approx(value(z, 3, -4))
    assert 0.03 <= -value(z, 3, 4) <= 0.13


def test_kerbs_follow_the_carriageway() -> None:
    z = raised([Corridor(LINE, 3.0), Corridor(np.array([[0.0, 30.0]]), 2.0)])
    assert set(np.unique(z)) == {0.0, 1.0}
    assert [value(z, 10, y) for y in (0, 2.5, -2.5, 4.0, -4.0)] == [0, 0, 0, 1, 1]
    assert [value(z, 0, y) for y in (30, 31.5, 33)] == [0, 0, 1]
    assert z.shape == (NODES, NODES)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_lanes_and_parked_cars_beside_them_lie_on_the_carriageway(layout: str) -> None:
    for seed in range(6):
        plan = LAYOUTS[layout](np.random.default_rng(seed))
        z = raised(plan.streets().carriageway)
        lanes = np.concatenate([r.path.position(np.arange(0, r.path.length)) for r in plan.routes])
        assert max(value(z, x, y) for x, y in lanes if max(abs(x), abs(y)) < REACH - 1) == 0.0
    assert z.mean() > 0.5


def test_sidewalks_of_a_road_lie_above_it() -> None:
    for seed in range(6):
        plan = LAYOUTS["road"](np.random.default_rng(seed))
        z = raised(plan.streets().carriageway)
        for walk in plan.sidewalks:
            spots = walk.position(np.arange(20.0, walk.length - 20.0, 2.0))
            inside = spots[np.abs(spots).max(axis=1) < REACH - 1]
            assert np.mean([value(z, x, y) for x, y in inside]) > 0.95


def test_surfaces_are_deterministic_and_differ() -> None:
    streets = LAYOUTS["road"](np.random.default_rng(0)).streets()
    one, same, other = (street_heights(np.random.default_rng(s), streets) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_vehicles_stand_on_streets_that_climb() -> None:
    """Grades are seen in the poses of what drives: to six percent and hardly more."""
    pitches = []
    for seed in range(10):
        scene = Scene.random(seed, 1)
        for actor in scene.traffic.actors:
            if actor.walks:
                continue
            x, y, z, roll, _, pitch = scene.body_pose(actor)
            assert z - actor.shape.size[2] / 2 == pytest.approx(scene.ground.height(x, y), abs=0.15)
            pitches.append(np.tan(np.radians(np.hypot(roll, pitch))))
    assert np.percentile(pitches, 90) > 0.03
    assert np.percentile(pitches, 99) < 0.09


def test_people_stand_upright_at_kerbs() -> None:
    for seed in range(4):
        scene = Scene.random(seed, 1)
        for actor in scene.traffic.actors:
            if actor.walks:
                _, _, _, roll, _, pitch = scene.body_pose(actor)
                assert max(abs(roll), abs(pitch)) < 11.0
