# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whose map meets the ego's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.reach import OTHER_MAP, OutOfReachError, Reach

GRID = BevGrid((-140.8, -40.0, -3.0, 140.8, 40.0, 1.0), (0.4, 0.4, 4.0), 2)
places = st.tuples(st.floats(-300, 300), st.floats(-300, 300), st.floats(-np.pi, np.pi))


def at(x, y=0.0, yaw=0.0):
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


def refusal(pose, ego=None, **settings):
    try:
        Reach(GRID, **settings).check(7, pose, at(0.0) if ego is None else ego)
    except OutOfReachError as error:
        return error.reason, str(error)
    return None


def test_a_peer_within_reach_is_fused():
    assert refusal(at(0.0)) is None
    assert refusal(at(281.0)) is None
    assert refusal(at(0.0, 100.0, np.pi / 2)) is None


def test_a_peer_too_far_away_is_named_with_distance_and_bound():
    assert refusal(at(350.0)) == ("out_of_range", "station 7 is 350 m away, allowed are 300 m")
    assert refusal(at(120.0), max_distance=100.0)[1].endswith("120 m away, allowed are 100 m")


def test_a_peer_whose_map_does_not_meet_the_own_is_named():
    for pose in (at(282.0), at(0.0, 81.0)):
        reason, text = refusal(pose)
        assert reason == "out_of_range"
        assert "does not meet" in text


def test_a_peer_thousands_of_kilometres_away_has_another_map():
    reason, text = refusal(at(5_400_000.0, 10.0), at(3.0, 4.0))
    assert reason == "other_map"
    assert "5,400 km away: at (5,400,000.0, 10.0) m, this station at (3.0, 4.0) m" in text
    assert "one map" in text
    assert refusal(at(OTHER_MAP + 1.0))[0] == "other_map"


@given(places, places)
def test_maps_overlap_where_a_point_of_one_lies_in_the_other(first, second):
    reach = Reach(GRID)
    poses = at(*first), at(*second)
    assert reach.overlaps(*poses) == reach.overlaps(*poses[::-1])
    x0, y0, _, x1, y1, _ = GRID.lidar_range
    x, y = np.meshgrid(np.linspace(x0, x1, 57), np.linspace(y0, y1, 17))
    points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size), np.ones(x.size)])
    inside = np.linalg.inv(poses[1]) @ poses[0] @ points
    margin = 1e-6
    shares = (
        (inside[0] > x0 + margin) & (inside[0] < x1 - margin)
        & (inside[1] > y0 + margin) & (inside[1] < y1 - margin)
    ).any()  # fmt: skip
    if shares:
        assert reach.overlaps(*poses)


@pytest.mark.parametrize("yaw", np.linspace(0, np.pi, 7))
def test_maps_further_apart_than_their_diagonal_never_overlap(yaw):
    assert not Reach(GRID).overlaps(at(0.0), at(293.0, 0.0, yaw))
