# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where frames were in each other, along any way through the tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.core.geometry.pose_buffer import (
    NO_POSE,
    POSE_NOT_YET,
    POSE_TOO_NEW,
    PoseUnavailableError,
    interpolate,
)
from quantv2x_ros.core.geometry.transform_history import TransformHistory

SECOND = 1_000_000_000
poses = st.tuples(
    *[st.floats(-100, 100)] * 3, st.floats(-30, 30), st.floats(-180, 180), st.floats(-30, 30)
).map(matrix_from_v2x)


@settings(max_examples=60, deadline=None)
@given(vehicle=st.tuples(poses, poses), lidar=poses, camera=poses, fraction=st.floats(0.0, 1.0))
def test_chains_of_moving_and_fixed_transforms_multiply(vehicle, lidar, camera, fraction):
    history = TransformHistory()
    history.add("base", "lidar", 0, lidar, is_static=True)
    history.add("/base", "/camera", 0, camera, is_static=True)
    history.add("map", "base", 1 * SECOND, vehicle[0])
    history.add("map", "base", 2 * SECOND, vehicle[1])
    stamp = SECOND + round(fraction * SECOND)
    base = interpolate(*vehicle, (stamp - SECOND) / SECOND)
    np.testing.assert_allclose(history.lookup("map", "lidar", stamp), base @ lidar, atol=1e-9)
    np.testing.assert_allclose(
        history.lookup("lidar", "map", stamp), invert(base @ lidar), atol=1e-9
    )
    # beside each other: no moving transform takes part, so any time will do
    np.testing.assert_allclose(
        history.lookup("camera", "lidar", 99 * SECOND), invert(camera) @ lidar, atol=1e-9
    )
    np.testing.assert_array_equal(history.lookup("lidar", "lidar", 0), np.eye(4))


@pytest.mark.parametrize(("stamp", "reason"), [(0.5, POSE_TOO_NEW), (2.5, POSE_NOT_YET)])
def test_nothing_is_extrapolated(stamp, reason):
    history = TransformHistory()
    for second in (1, 2):
        history.add("map", "lidar", second * SECOND, np.eye(4))
    with pytest.raises(PoseUnavailableError) as caught:
        history.lookup("map", "lidar", round(stamp * SECOND))
    assert caught.value.reason == reason


def test_frames_that_are_not_connected_are_named_with_what_is_there():
    history = TransformHistory()
    history.add("odom", "base", 0, np.eye(4))
    history.add("base", "lidar", 0, np.eye(4), is_static=True)
    with pytest.raises(PoseUnavailableError) as caught:
        history.lookup("map", "lidar", 0)
    assert caught.value.reason == NO_POSE
    assert str(caught.value) == (
        "no transform leads from 'lidar' to 'map': 'lidar' hangs below 'odom'; frames are base,"
        " lidar, odom"
    )
    assert (history.root("lidar"), history.root("map")) == ("odom", "map")


def test_frames_in_a_circle_end_the_search():
    history = TransformHistory()
    history.add("a", "b", 0, np.eye(4), is_static=True)
    history.add("b", "a", 0, np.eye(4), is_static=True)
    with pytest.raises(PoseUnavailableError):
        history.lookup("map", "a", 0)
