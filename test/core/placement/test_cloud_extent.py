# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds that do not lie around their sensor in metres are told apart, with what to set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.grid import V2X_REAL_RANGE
from quantv2x_ros.core.geometry.pose import extrinsics_matrix
from quantv2x_ros.core.placement.cloud_extent import misplacement
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy

PARAMETERS = PlacementRemedy(CloudPlacement())


def street(seed=0, reach=70.0):
    """Ground and walls around a LiDAR at 1.9 m, denser near to it."""
    rng = np.random.default_rng(seed)
    radius, angle = 3.0 + reach * rng.random(5000) ** 2, rng.uniform(-np.pi, np.pi, 5000)
    height = np.where(rng.random(5000) < 0.5, -1.9, rng.uniform(-1.9, 4.0, 5000))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height, 0 * angle], axis=1)
    return points.astype(np.float32)


def said(points, remedy=PARAMETERS, **values):
    return misplacement(points, V2X_REAL_RANGE, remedy, **values)


@given(st.integers(0, 1000), st.floats(15.0, 200.0), st.floats(-1.9, 4.0))
def test_a_cloud_around_its_sensor_is_well(seed, reach, raised):
    points = street(seed, reach)
    points[:, 2] -= np.float32(raised)
    assert said(points) == ""


@pytest.mark.parametrize(
    ("unit", "factor", "scale"),
    [("millimetres", 1e3, "0.001"), ("centimetres", 1e2, "0.01"), ("kilometres", 1e-3, "1000")],
)
def test_another_unit_is_told_with_both_values_and_the_scale(unit, factor, scale):
    points = street() * np.float32(factor)
    text = said(points)
    median = np.median(np.linalg.norm(street()[:, :3], axis=1))
    assert f"seems to be in {unit}" in text
    assert f"{median:.1f} m if that is so" in text
    assert f"cloud_scale: {scale}" in text
    command = PlacementRemedy(CloudPlacement(scale=0.5), of_command=True)
    assert f"--cloud-scale {float(scale) / 2:g}" in said(points, command)


@pytest.mark.parametrize("place", [(448_000.0, 5_411_000.0, 210.0), (-900.0, 400.0, 30.0)])
def test_map_coordinates_are_told_with_the_middle_and_the_pose(place):
    points = street() + np.array([*place, 0.0], np.float32)
    text = said(points, sensor=np.array(place))
    assert "map or UTM coordinates" in text
    assert f"{place[0] / 1e3:,.0f}" in text.replace(",", "") or f"{place[0]:,.1f}"[:6] in text
    assert f"the sensor is at ({place[0]:,.1f}, {place[1]:,.1f}, {place[2]:,.1f}) m" in text
    assert "0.0 % of 5,000 points" in text


def test_a_cloud_above_or_below_the_range_is_told_with_where_it_lies():
    points = street()
    points[:, 2] += np.float32(60.0)
    text = said(points)
    assert "0.0 % of 5,000 points" in text
    assert "z 58.1 to" in text


def test_a_cloud_without_a_point_is_told():
    assert "no point" in said(np.empty((0, 4), np.float32))


def test_what_is_to_be_set_goes_on_from_what_is_set():
    set_already = CloudPlacement(extrinsics_matrix([0.0, 0.0, 0.0, 0.0, 0.0, 90.0]))
    further = extrinsics_matrix([1.0, 0.0, 2.0, 0.0, 0.0, 0.0])
    text = PlacementRemedy(set_already).setting(further)
    assert text == "cloud_mount: [0.0, 1.0, 2.0, 0.0, 0.0, 90.0]"
    text = PlacementRemedy(set_already, of_command=True).setting(further)
    assert text == "--cloud-mount=0,1,2,0,0,90"
