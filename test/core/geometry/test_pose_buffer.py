# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses looked up by time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import PoseError, check_pose, matrix_from_v2x
from quantv2x_ros.core.geometry.pose_buffer import PoseBuffer, PoseUnavailableError, interpolate

ZERO = np.zeros(36)
SECOND = 1_000_000_000
angles = st.floats(-179, 179)
metres = st.floats(-1000, 1000)
poses = st.tuples(metres, metres, metres, angles, angles, st.floats(-80, 80)).map(matrix_from_v2x)


def test_exact_stamp_gives_the_pose_itself():
    buffer = PoseBuffer()
    pose = matrix_from_v2x([1, 2, 3, 4, 5, 6])
    buffer.add(7 * SECOND, pose, np.eye(6))
    found, covariance = buffer.at(7 * SECOND)
    np.testing.assert_array_equal(found, pose)
    np.testing.assert_array_equal(covariance.reshape(6, 6), np.eye(6))


def test_between_two_poses_is_interpolated():
    buffer = PoseBuffer()
    buffer.add(0, matrix_from_v2x([0, 0, 0, 0, 170, 0]), np.eye(6))
    buffer.add(SECOND // 10, matrix_from_v2x([10, 0, 0, 0, -170, 0]), 3 * np.eye(6))
    found, covariance = buffer.at(SECOND // 40)
    np.testing.assert_allclose(found, matrix_from_v2x([2.5, 0, 0, 0, 175, 0]), atol=1e-9)
    np.testing.assert_allclose(covariance.reshape(6, 6), 1.5 * np.eye(6))


def test_poses_may_arrive_in_any_order():
    buffer = PoseBuffer()
    for tenth in (3, 1, 2, 0):
        buffer.add(tenth * SECOND // 10, matrix_from_v2x([tenth, 0, 0, 0, 0, 0]), ZERO)
    assert buffer.at(SECOND // 4)[0][0, 3] == pytest.approx(2.5)


def test_same_stamp_replaces():
    buffer = PoseBuffer()
    buffer.add(5, np.eye(4), ZERO)
    buffer.add(5, matrix_from_v2x([9, 0, 0, 0, 0, 0]), ZERO)
    assert len(buffer) == 1
    assert buffer.at(5)[0][0, 3] == 9


def test_capacity_forgets_the_oldest():
    buffer = PoseBuffer(capacity=3)
    for stamp in range(5):
        buffer.add(stamp, np.eye(4), ZERO)
    assert len(buffer) == 3
    with pytest.raises(PoseUnavailableError) as error:
        buffer.at(1)
    assert error.value.reason == "pose_too_new"


@pytest.mark.parametrize(
    ("stamps", "asked", "reason", "may_come"),
    [
        ([], 5, "no_pose", True),
        ([10], 5, "pose_too_new", False),
        ([10], 15, "pose_not_yet", True),
        ([0, SECOND], 15, "pose_gap", False),
    ],
)
def test_what_is_not_known_is_refused_with_its_reason(stamps, asked, reason, may_come):
    buffer = PoseBuffer(max_gap=0.5)
    for stamp in stamps:
        buffer.add(stamp, np.eye(4), ZERO)
    with pytest.raises(PoseUnavailableError) as error:
        buffer.at(asked)
    assert error.value.reason == reason
    assert error.value.may_come is may_come


@pytest.mark.parametrize(("stamps", "jumped"), [([100, 110], 10), ([1.0, 1.1, 1.2, 1.3], 0.9)])
def test_a_jump_back_in_time_starts_afresh(stamps, jumped):
    buffer = PoseBuffer(capacity=4)
    for stamp in stamps:
        buffer.add(int(stamp * SECOND), np.eye(4), ZERO)
    buffer.add(int(jumped * SECOND), matrix_from_v2x([7, 0, 0, 0, 0, 0]), ZERO)
    assert len(buffer) == 1
    assert buffer.at(int(jumped * SECOND))[0][0, 3] == 7


def test_pose_that_is_not_finite_is_refused():
    pose = np.eye(4)
    pose[0, 3] = np.nan
    with pytest.raises(PoseError, match="not finite"):
        PoseBuffer().add(0, pose, ZERO)
    with pytest.raises(ValueError, match="covariance"):
        PoseBuffer().add(0, np.eye(4), np.full(36, np.inf))


def test_clear_forgets_everything():
    buffer = PoseBuffer()
    buffer.add(0, np.eye(4), ZERO)
    buffer.clear()
    with pytest.raises(PoseUnavailableError):
        buffer.at(0)


@given(poses, poses, st.floats(0, 1))
def test_interpolation_is_rigid_and_meets_its_ends(pose_a, pose_b, fraction):
    check_pose(interpolate(pose_a, pose_b, fraction))
    np.testing.assert_allclose(interpolate(pose_a, pose_b, 0.0), pose_a, atol=1e-6)
    np.testing.assert_allclose(interpolate(pose_a, pose_b, 1.0), pose_b, atol=1e-6)


@given(poses, st.floats(-170, 170), st.floats(0, 1))
def test_rotation_runs_at_constant_speed(pose, turn, fraction):
    yaw = matrix_from_v2x([0, 0, 0, 0, turn, 0])
    part = matrix_from_v2x([0, 0, 0, 0, turn * fraction, 0])
    np.testing.assert_allclose(
        interpolate(pose, pose @ yaw, fraction)[:3, :3], (pose @ part)[:3, :3], atol=1e-6
    )


def test_where_sweeps_jump_back_only_poses_far_ahead_are_forgotten():
    buffer = PoseBuffer()
    buffer.add(60 * SECOND, np.eye(4), ZERO)
    buffer.jump_back(56 * SECOND)
    assert len(buffer) == 1
    buffer.jump_back(10 * SECOND)
    assert len(buffer) == 0
    buffer.jump_back(10 * SECOND)
    buffer.add(10 * SECOND, np.eye(4), ZERO)
    buffer.jump_back(10 * SECOND)
    assert len(buffer) == 1
