# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A roadside unit lays its grid along the roads of those who listen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_points
from quantv2x_ros.core.transport.grid_turn import (
    LEAST_GAIN,
    MOST_RECEIVERS,
    GridTurn,
    heading_between,
    turned_points,
    turned_pose,
)

GRID = BevGrid()
RANGE = DetectionConfig(range_x=100.0, range_y=40.0)
ALONG = 0.0
ACROSS = 90.0


def at(x: float, y: float, degrees: float) -> np.ndarray:
    return matrix_from_v2x([x, y, 0.0, 0.0, degrees, 0.0])


@pytest.fixture
def turn() -> GridTurn:
    return GridTurn(GRID, RANGE)


def test_a_pole_that_looks_across_the_road_lays_its_grid_along_it(turn: GridTurn) -> None:
    yaw = turn.towards(at(0, 8, -90.0), [at(20, 0, ALONG)])
    assert np.degrees(yaw) == pytest.approx(90.0)


def test_while_nobody_is_heard_the_grid_lies_as_the_sensor_does(turn: GridTurn) -> None:
    assert turn.towards(at(0, 8, -90.0), []) == 0.0


def test_when_all_have_gone_the_grid_stays_as_it_was(turn: GridTurn) -> None:
    yaw = turn.towards(at(0, 8, -90.0), [at(20, 0, ALONG)])
    assert turn.towards(at(0, 8, -90.0), []) == yaw != 0.0


def test_a_receiver_too_far_away_turns_nothing(turn: GridTurn) -> None:
    assert turn.towards(at(0, 8, -90.0), [at(900, 0, ALONG)]) == 0.0


def test_the_many_outweigh_the_few(turn: GridTurn) -> None:
    pole = at(0, 0, 45.0)
    receivers = [at(20, 0, ALONG), at(-20, 0, ALONG), at(0, 20, ACROSS)]
    assert np.degrees(turn.towards(pole, receivers)) == pytest.approx(-45.0)


def test_a_receiver_that_steers_a_little_does_not_swing_the_grid(turn: GridTurn) -> None:
    pole = at(0, 8, -90.0)
    first = turn.towards(pole, [at(20, 0, ALONG)])
    assert turn.towards(pole, [at(21, 0, 1.5)]) == first
    assert turn.towards(pole, [at(40, 10, 40.0)]) != first


def test_of_many_receivers_the_nearest_count(turn: GridTurn) -> None:
    near = [at(10 + i, 0, ALONG) for i in range(MOST_RECEIVERS)]
    far = [at(0, 60 + i, ACROSS) for i in range(3 * MOST_RECEIVERS)]
    assert np.degrees(turn.towards(at(0, 0, 90.0), [*far, *near])) == pytest.approx(-90.0)


def test_after_a_reset_the_grid_lies_as_the_sensor_does(turn: GridTurn) -> None:
    turn.towards(at(0, 8, -90.0), [at(20, 0, ALONG)])
    turn.reset()
    assert turn.towards(at(0, 8, -90.0), []) == 0.0


@given(
    st.lists(
        st.tuples(st.floats(-150, 150), st.floats(-150, 150), st.floats(-180, 180)), max_size=5
    ),
    st.floats(-180, 180),
)
def test_a_turn_covers_more_than_none(
    receivers: list[tuple[float, float, float]], heading: float
) -> None:
    turn = GridTurn(GRID, RANGE)
    pole, others = at(0, 0, heading), [at(*receiver) for receiver in receivers]
    yaw = turn.towards(pole, others)
    wanted = turn._wanted(pole, others)
    gain = turn._covered(wanted, yaw) - turn._covered(wanted, 0.0)
    assert yaw == 0.0 or gain > LEAST_GAIN
    assert -np.pi <= yaw <= np.pi


@given(st.floats(-4, 4), st.floats(-180, 180), st.floats(-5, 5), st.integers(0, 9))
def test_a_turned_cloud_lies_where_it_did_in_the_map(
    yaw: float, heading: float, tilt: float, seed: int
) -> None:
    points = np.random.default_rng(seed).uniform(-99, 99, (20, 4)).astype(np.float32)
    pose = matrix_from_v2x([3.0, -7.0, 4.0, tilt, heading, -tilt])
    turned = turned_points(points, yaw)
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned[:, 2:], points[:, 2:])
    np.testing.assert_allclose(
        transform_points(turned, turned_pose(pose, yaw)), transform_points(points, pose), atol=1e-3
    )
    assert np.cos(heading_between(pose, turned_pose(pose, yaw)) - yaw) == pytest.approx(1.0)
