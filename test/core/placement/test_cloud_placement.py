# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds are brought from the frame and unit that they come in to the one that is expected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import PoseError, transform_points
from quantv2x_ros.core.placement.cloud_placement import (
    CloudPlacement,
    parse_placement,
    placement_of,
)

ANGLES = st.floats(-180, 180)
METRES = st.floats(-5, 5)
MOUNTS = st.tuples(METRES, METRES, METRES, ANGLES, ANGLES, ANGLES)
# in the LiDAR frame: 10 m ahead, 5 m to the left, ground below
EXPECTED = np.array([[10, 0, 0, 7], [0, 5, 0, 8], [3, 0, -1.9, 9]], np.float32)


@given(MOUNTS, st.sampled_from([1.0, 0.01, 0.001]))
def test_a_cloud_comes_to_the_lidars_frame_and_boxes_go_back_by_the_mount(mount, scale):
    placement = placement_of(list(mount), scale)
    cloud = EXPECTED.copy()
    cloud[:, :3] = transform_points(EXPECTED, placement.extrinsics) / scale
    placed = placement.apply(cloud)
    np.testing.assert_allclose(placed[:, :3], EXPECTED[:, :3], atol=1e-4)
    np.testing.assert_array_equal(placed[:, 3], EXPECTED[:, 3])
    assert placed.dtype == np.float32


@pytest.mark.parametrize(
    ("mount", "cloud"),
    [
        ("0,0,1.9,0,0,0", [[10, 0, 1.9], [0, 5, 1.9], [3, 0, 0]]),  # base_link on the ground
        ("0,0,0,0,0,90", [[0, 10, 0], [-5, 0, 0], [0, 3, -1.9]]),  # y forward
        ("[0, 0, 0, 180, 0, 0]", [[10, 0, 0], [0, -5, 0], [3, 0, 1.9]]),  # upside down
    ],
)
def test_what_common_mounts_mean(mount, cloud):
    cloud = np.column_stack([np.array(cloud, np.float32), EXPECTED[:, 3]])
    np.testing.assert_allclose(parse_placement(mount).apply(cloud), EXPECTED, atol=1e-5)


def test_a_cloud_in_its_lidars_frame_is_left_as_it_is():
    assert parse_placement("").apply(EXPECTED) is EXPECTED
    assert not CloudPlacement().is_moved
    assert CloudPlacement(scale=0.5).apply(EXPECTED)[0, 0] == 5.0


@pytest.mark.parametrize(
    ("mount", "scale", "text"),
    [
        ("1,2", 1.0, "six finite numbers"),
        ("1,2,3,4,5,up", 1.0, "cloud mount: got '1,2,3,4,5,up'"),
        ("0,0,0,0,0,nan", 1.0, "six finite numbers"),
        ("", 0.0, "cloud scale: got 0.0"),
        ("", -1.0, "cloud scale"),
    ],
)
def test_what_is_no_mount_is_refused(mount, scale, text):
    with pytest.raises(PoseError, match=text):
        parse_placement(mount, scale)
