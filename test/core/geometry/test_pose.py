# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pose conventions, transforms between agents, and theta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry import pose
from quantv2x_ros.core.geometry.grid import BevGrid

coordinates = st.floats(-500, 500)
poses = st.tuples(
    coordinates,
    coordinates,
    st.floats(-20, 20),
    st.floats(-60, 60),
    st.floats(-179, 179),
    st.floats(-60, 60),
)


def test_a_pose_points_where_the_dataset_says() -> None:
    forward, left, up = np.eye(3)
    yawed = pose.matrix_from_v2x([1, 2, 3, 0, 90, 0])
    np.testing.assert_allclose(yawed[:3, 3], (1, 2, 3))
    np.testing.assert_allclose(yawed[:3, :3] @ forward, left, atol=1e-12)
    # Positive pitch lifts the nose: ROS counts it the other way round.
    pitched = pose.matrix_from_v2x([0, 0, 0, 0, 0, 90])
    np.testing.assert_allclose(pitched[:3, :3] @ forward, up, atol=1e-12)
    rolled = pose.matrix_from_v2x([0, 0, 0, 90, 0, 0])
    np.testing.assert_allclose(rolled[:3, :3] @ left, -up, atol=1e-12)


def test_transforms_agree_with_the_published_ones(
    golden_inputs: Mapping[str, npt.NDArray[Any]],
) -> None:
    matrices = [pose.matrix_from_v2x(p) for p in golden_inputs["poses"]]
    for i, ego in enumerate(matrices):
        for j, agent in enumerate(matrices):
            np.testing.assert_allclose(
                pose.transform_between(ego, agent),
                golden_inputs["pairwise_t_matrix"][0, i, j],
                atol=1e-9,
            )


@given(poses)
def test_v2x_poses_survive_their_matrix(values: tuple[float, ...]) -> None:
    matrix = pose.matrix_from_v2x(values)
    pose.check_pose(matrix)
    np.testing.assert_allclose(pose.v2x_from_matrix(matrix), values, atol=1e-8)


@given(poses)
def test_quaternions_survive_their_matrix(values: tuple[float, ...]) -> None:
    matrix = pose.matrix_from_v2x(values)
    quaternion = pose.quaternion_from_matrix(matrix)
    again = pose.matrix_from_quaternion(matrix[:3, 3].tolist(), quaternion.tolist())
    np.testing.assert_allclose(again, matrix, atol=1e-9)


def test_quaternions_are_in_ros_order() -> None:
    half = np.sqrt(0.5)
    matrix = pose.matrix_from_quaternion([1, 2, 3], [0, 0, half, half])
    np.testing.assert_allclose(matrix, pose.matrix_from_v2x([1, 2, 3, 0, 90, 0]), atol=1e-12)


@given(poses, poses)
def test_transforms_between_agents_are_consistent(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    a, b = pose.matrix_from_v2x(first), pose.matrix_from_v2x(second)
    there, back = pose.transform_between(a, b), pose.transform_between(b, a)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(b @ there, a, atol=1e-9)
    np.testing.assert_allclose(pose.invert(a), np.linalg.inv(a), atol=1e-9)


def test_points_are_moved() -> None:
    matrix = pose.matrix_from_v2x([10, 0, 1, 0, 90, 0])
    points = np.array([(1, 0, 0, 0.5), (0, 2, 0, 0.1)], dtype=np.float32)
    np.testing.assert_allclose(
        pose.transform_points(points, matrix), [(10, 1, 1), (8, 0, 1)], atol=1e-6
    )


@given(poses)
def test_theta_says_where_an_egos_cell_lies_in_the_agents_map(values: tuple[float, ...]) -> None:
    grid = BevGrid((-6.4, -19.2, -3.0, 32.0, 6.4, 1.0), (0.4, 0.4, 4.0))  # off the sensor
    ego_to_agent = pose.matrix_from_v2x(values)
    theta = pose.warp_theta(ego_to_agent, grid)
    low, high = np.array([-6.4, -19.2]), np.array([32.0, 6.4])
    point = np.array([3.0, -7.0])
    normalised = 2 * (point - low) / (high - low) - 1
    there = (theta @ [*normalised, 1.0] + 1) / 2 * (high - low) + low
    expected = (ego_to_agent @ [*point, 0.0, 1.0])[:2]
    np.testing.assert_allclose(there, expected, atol=1e-9)


def _with(row: int, column: int, value: float) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "shape"),
        (_with(0, 3, np.nan), "not finite"),
        (_with(1, 1, np.inf), "not finite"),
        (_with(0, 3, 1e9), "away from the map"),
        (_with(0, 0, 1.1), "not a rotation"),
        (_with(0, 0, -1.0), "not a rotation"),
        (_with(3, 0, 1.0), "last row"),
        (np.zeros((4, 4)), "not a rotation"),
    ],
)
def test_matrices_that_are_no_pose_are_refused(
    matrix: npt.NDArray[np.float64], message: str
) -> None:
    with pytest.raises(pose.PoseError, match=f"agent 7: .*{message}"):
        pose.check_pose(matrix, "agent 7")


def test_numbers_that_are_no_pose_are_refused() -> None:
    with pytest.raises(pose.PoseError, match="six finite numbers"):
        pose.matrix_from_v2x([0, 0, 0, 0, float("nan"), 0])
    with pytest.raises(pose.PoseError, match="six finite numbers"):
        pose.matrix_from_v2x([0, 0, 0])
    with pytest.raises(pose.PoseError, match="length is 0"):
        pose.matrix_from_quaternion([0, 0, 0], [0, 0, 0, 0])
    with pytest.raises(pose.PoseError, match="not finite"):
        pose.matrix_from_quaternion([float("nan"), 0, 0], [0, 0, 0, 1])
