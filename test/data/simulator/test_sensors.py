# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR models and the sweeps taken with them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate
from quantv2x_ros.data.simulator.sensors import SENSORS, SINGLE, SensorModel, random_sensor
from quantv2x_ros.data.simulator.sweep import Sweep, take_sweep

LEVEL = Ground(np.zeros((1, 4)))
NO_OWNERS = np.zeros(0, np.int32)


def level_sweep(sensor: SensorModel, parts: PartSet | None = None, seed: int = 0) -> Sweep:
    parts = concatenate([]) if parts is None else parts
    return take_sweep(
        np.random.default_rng(seed),
        sensor,
        parts,
        np.full(len(parts), -1, np.int32),
        0,
        matrix_from_v2x(np.array([0.0, 0.0, 2.0, 0.0, 0.0, 0.0])),
        LEVEL,
    )


@pytest.mark.parametrize("name", sorted(SENSORS))
def test_every_return_lies_on_a_beam(name: str) -> None:
    sensor = SENSORS[name]
    points = level_sweep(sensor).points
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    off = np.abs(elevation[:, None] - np.asarray(sensor.elevations)[None]).min(axis=1)
    assert len(points) > 3000
    assert off.max() < 0.01
    assert points.dtype == np.float32
    assert (points[:, 3] == 0).all()


@pytest.mark.parametrize("name", sorted(SENSORS))
def test_models_return_what_their_products_do_in_a_closed_room(name: str) -> None:
    walls = [((20, 0), (1, 42)), ((-20, 0), (1, 42)), ((0, 20), (42, 1)), ((0, -20), (42, 1))]
    room = concatenate([box((*c, 9), (*s, 20), reflectivity=0.9) for c, s in walls])
    count = len(level_sweep(SENSORS[name], room).points)
    low, high = {"corner32": (5_000, 14_000), "roof64": (120_000, 170_000)}.get(
        name, (20_000, 150_000)
    )
    assert low < count < high


def test_range_noise_has_the_stated_spread() -> None:
    sensor = replace(SENSORS["wide64"], range_noise=0.03, reach=math.inf)
    wall = box((10, 0, 2), (1, 60, 10))
    points = level_sweep(sensor, wall).points.astype(float)
    on_wall = (points[:, 0] > 9) & (points[:, 2] > -1.0) & (np.abs(points[:, 1]) < 9)
    distance = np.linalg.norm(points[on_wall, :3], axis=1)
    error = distance - distance * 9.5 / points[on_wall, 0]
    assert abs(error.std() - 0.03) < 0.004


def test_dark_and_grazed_surfaces_are_lost_first() -> None:
    sensor = SENSORS["narrow64"]
    far = np.full(3, 50.0)
    keep = sensor.keep_probability(far, np.array([0.5, 0.05, 0.5]), np.array([1.0, 1.0, 0.05]))
    assert keep[0] > 0.9
    assert keep[1] < 0.7 * keep[0]
    assert keep[2] < 0.3 * keep[0]


def test_a_lossless_sensor_loses_only_its_stated_share() -> None:
    sensor = replace(SENSORS["carla64"], drop=0.1)
    full = len(level_sweep(SENSORS["carla64"]).points)
    assert abs(len(level_sweep(sensor).points) / full - 0.9) < 0.01


def test_random_sensors_differ_but_stay_valid() -> None:
    drawn = [random_sensor(np.random.default_rng(seed)) for seed in range(200)]
    assert {sensor.name for sensor in drawn} == set(SINGLE)
    assert len({sensor.elevations for sensor in drawn}) == len(drawn)
    assert random_sensor(np.random.default_rng(0), "roof64").name == "roof64"


def test_some_sensors_have_dead_beams_and_some_stand_in_bad_weather() -> None:
    drawn = [random_sensor(np.random.default_rng(seed), "wide64") for seed in range(400)]
    dead = np.array([len(sensor.silent) for sensor in drawn])
    assert 0.08 < (dead > 0).mean() < 0.25
    assert (dead == 32).any()
    assert dead.max() < 45
    reach = np.array([sensor.reach for sensor in drawn]) / SENSORS["wide64"].reach
    assert 0.03 < (reach < 0.6).mean() < 0.25
    assert max(sensor.drop for sensor in drawn) > 0.25


def test_a_silent_beam_returns_nothing_and_leaves_the_others_as_they_are() -> None:
    whole = replace(SENSORS["dense128"], range_noise=0.0, reach=math.inf, drop=0.0)
    silent = tuple(range(0, 128, 2))
    part = replace(whole, silent=silent)
    np.testing.assert_array_equal(part.azimuth_offsets, whole.azimuth_offsets[1::2])
    points = level_sweep(part).points
    elevation = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    off = np.abs(elevation[:, None] - np.asarray(whole.elevations)[None])
    assert off.min(axis=1).max() < 0.01
    assert not set(np.unique(off.argmin(axis=1))) & set(silent)


def test_a_sensor_returns_nothing_beyond_its_field_of_view() -> None:
    narrow = replace(SENSORS["wide64"], field_of_view=(-50.0, 50.0))
    whole, part = level_sweep(SENSORS["wide64"]).points, level_sweep(narrow).points
    azimuth = np.degrees(np.arctan2(part[:, 1], part[:, 0]))
    assert np.abs(azimuth).max() < 50.4
    assert np.abs(azimuth).max() > 49.5
    assert len(part) / len(whole) == pytest.approx(100 / 360, abs=0.01)


def test_two_blocks_have_two_spacings_and_forty_beams_many() -> None:
    upper, lower = (
        np.diff(SENSORS["blocks64"].elevations)[part] for part in (slice(33, 63), slice(31))
    )
    assert np.allclose(lower, 0.5, atol=0.001)
    assert np.allclose(upper, 0.333, atol=0.001)
    spacing = np.diff(SENSORS["centre40"].elevations)
    assert len(spacing) == 39
    assert spacing.max() > 10 * spacing.min()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elevations": (1.0, 0.0)}, "ascend"),
        ({"elevations": (0.0, 95.0)}, "ascend"),
        ({"columns": 4}, "at least 8"),
        ({"drop": 1.0}, "drop is 1.0"),
        ({"max_range": 0.1}, "positive and ordered"),
        ({"field_of_view": (50.0, -50.0)}, "field_of_view is"),
        ({"field_of_view": (-50.0, 270.0)}, "field_of_view is"),
        ({"silent": (64,)}, "silent is"),
        ({"silent": tuple(range(64))}, "not all"),
    ],
)
def test_impossible_sensors_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SENSORS["wide64"], **change)  # type: ignore[arg-type]
