# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses of sensors from poses of what they are mounted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat

from quantv2x_ros.core.geometry.pose import (
    PoseError,
    check_pose,
    covariance_of,
    extrinsics_matrix,
    invert,
    matrix_from_v2x,
    sensor_pose,
)

metres = st.floats(-20, 20)
angles = st.floats(-179, 179)
mounts = st.tuples(metres, metres, metres, angles, st.floats(-80, 80), angles).map(
    extrinsics_matrix
)
poses = st.tuples(metres, metres, metres, angles, angles, st.floats(-80, 80)).map(matrix_from_v2x)


def test_a_lidar_ahead_on_the_roof_of_a_car_that_faces_left():
    vehicle = matrix_from_v2x([100, 50, 0, 0, 90, 0])
    pose, _ = sensor_pose(vehicle, np.zeros(36), extrinsics_matrix([1.0, 0, 1.8, 0, 0, 180]))
    np.testing.assert_allclose(pose, matrix_from_v2x([100, 51, 1.8, 0, -90, 0]), atol=1e-12)


def test_an_uncertain_heading_makes_a_distant_sensor_uncertain_sideways():
    spread = covariance_of(0.0, 0.1).reshape(6, 6)
    spread[3, 3] = spread[4, 4] = 0.0
    _, moved = sensor_pose(np.eye(4), spread, extrinsics_matrix([5.0, 0, 0, 0, 0, 0]))
    moved = moved.reshape(6, 6)
    assert moved[1, 1] == pytest.approx(0.25)
    assert moved[1, 5] == pytest.approx(0.05)
    assert moved[0, 0] == moved[2, 2] == 0.0


@given(poses, mounts)
def test_mounted_and_taken_off_again_is_the_vehicle(vehicle, mount):
    pose, _ = sensor_pose(vehicle, np.zeros(36), mount)
    np.testing.assert_allclose(check_pose(pose) @ invert(mount), vehicle, atol=1e-9)


def error_of(pose, truth):
    """A small error as x, y, z and rotations about the map's axes."""
    turn = pose[:3, :3] @ truth[:3, :3].T
    rotation = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return np.concatenate([pose[:3, 3] - truth[:3, 3], rotation / 2])


@given(
    poses,
    mounts,
    st.lists(st.floats(-1, 1), min_size=6, max_size=6)
    .map(np.array)
    .filter(lambda e: abs(e).max() > 0.1),
)
def test_the_covariance_follows_how_errors_move_the_sensor(vehicle, mount, direction):
    error = 1e-6 * direction
    wrong = vehicle.copy()
    angle = np.linalg.norm(error[3:])
    if angle > 0:
        wrong[:3, :3] = axangle2mat(error[3:], angle) @ vehicle[:3, :3]
    wrong[:3, 3] += error[:3]
    moved = error_of(wrong @ mount, vehicle @ mount) * 1e6
    _, covariance = sensor_pose(vehicle, np.outer(direction, direction), mount)
    np.testing.assert_allclose(covariance.reshape(6, 6), np.outer(moved, moved), atol=5e-3)


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.0] * 7, [0.0] * 5 + [float("nan")]])
def test_what_is_no_mount_is_refused(values):
    with pytest.raises(PoseError, match="six finite numbers"):
        extrinsics_matrix(values)


def test_a_sensor_at_the_vehicles_own_frame_changes_nothing():
    vehicle = matrix_from_v2x([3, 2, 1, 4, 5, 6])
    pose, covariance = sensor_pose(vehicle, np.arange(36.0), extrinsics_matrix([0.0] * 6))
    np.testing.assert_array_equal(pose, vehicle)
    np.testing.assert_array_equal(covariance, np.arange(36.0))
