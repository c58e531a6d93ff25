# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds are levelled by their own ground, steadily, and nothing in the map moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms3d.euler import euler2mat

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_points
from quantv2x_ros.core.placement.levelling import (
    MAX_SHIFT,
    MEMORY,
    SENSOR_HEIGHTS,
    Levelling,
    in_sensor_frame,
    levelled_points,
    levelled_pose,
)

PERIOD = 0.1
TILTS = st.floats(-4.0, 4.0)


def street(roll: float = 0.0, pitch: float = 0.0, height: float = 1.9, seed: int = 0) -> np.ndarray:
    """A flat ground with a few objects as a tilted sensor sees it, degrees and metres."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform((-35, -35, 0, 0), (35, 35, 0, 0), (6000, 4))
    ground[:600, 2] += rng.uniform(0.3, 3.0, 600)
    ground[:, 2] += rng.normal(0.0, 0.02, len(ground)) - height
    ground[:, :3] = ground[:, :3] @ euler2mat(*np.radians([roll, pitch, 0.0])).T
    return ground.astype(np.float32)


def level_of(cloud: np.ndarray, heights: tuple[float, float] = SENSOR_HEIGHTS) -> np.ndarray:
    level = Levelling(heights).update(cloud, 0.0)
    assert level is not None
    return level


@settings(max_examples=25, deadline=None)
@given(TILTS, TILTS, st.floats(0.8, 3.0))
def test_the_ground_of_a_levelled_cloud_is_flat_and_as_far_below_as_the_network_knows(
    roll: float, pitch: float, height: float
) -> None:
    cloud = street(roll, pitch, height)
    levelled = levelled_points(cloud, level_of(cloud))
    ground = levelled[600:]
    slope, *_ = np.linalg.lstsq(np.c_[ground[:, :2], np.ones(len(ground))], ground[:, 2], None)
    assert np.abs(slope[:2]).max() < 0.002
    assert slope[2] == pytest.approx(-SENSOR_HEIGHTS[0], abs=0.03)


@given(TILTS, TILTS, st.floats(-180, 180))
@settings(max_examples=25, deadline=None)
def test_points_stay_where_they_are_in_the_map(roll: float, pitch: float, yaw: float) -> None:
    cloud, pose = street(roll, pitch, 1.5), matrix_from_v2x([20.0, -7.0, 3.0, 1.0, yaw, -2.0])
    level = level_of(cloud)
    before = transform_points(cloud, pose)
    after = transform_points(levelled_points(cloud, level), levelled_pose(pose, level))
    assert np.allclose(before, after, atol=1e-4)


def test_the_heading_of_the_sensor_is_kept() -> None:
    level = level_of(street(3.0, -3.0))
    assert np.degrees(np.arctan2(level[1, 0], level[0, 0])) == pytest.approx(0.0, abs=0.1)


def test_a_cloud_is_not_changed_in_place_and_keeps_what_comes_with_its_points() -> None:
    cloud = street(2.0)
    cloud[:, 3] = np.arange(len(cloud))
    kept = cloud.copy()
    levelled = levelled_points(cloud, level_of(cloud))
    assert np.array_equal(cloud, kept)
    assert np.array_equal(levelled[:, 3], cloud[:, 3])


@pytest.mark.parametrize(("height", "expected"), [(1.2, 1.75), (2.2, 2.2), (3.0, 2.6)])
def test_a_sensor_within_the_heights_that_are_known_is_not_shifted(
    height: float, expected: float
) -> None:
    cloud = street(height=height)
    levelled = levelled_points(cloud, level_of(cloud, (1.75, 2.6)))
    assert np.median(levelled[600:, 2]) == pytest.approx(-expected, abs=0.03)


def test_the_shift_is_bounded() -> None:
    level = level_of(street(height=7.0))
    assert level[2, 3] == pytest.approx(MAX_SHIFT)


def test_without_a_ground_a_cloud_is_left_as_it_is() -> None:
    levelling = Levelling()
    assert levelling.update(np.zeros((0, 4), np.float32), 0.0) is None
    assert levelling.update(street(12.0), 0.1) is None, "steeper than roads are"
    assert levelling.ground is None


def test_one_odd_sweep_moves_nothing() -> None:
    levelling = Levelling()
    steady = levelling.update(street(1.0), 0.0)
    assert np.array_equal(levelling.update(street(5.0), PERIOD), steady)
    assert np.allclose(levelling.update(street(1.0), 2 * PERIOD), steady, atol=1e-9)


def test_another_ground_is_taken_once_two_sweeps_agree() -> None:
    levelling = Levelling()
    levelling.update(street(1.0), 0.0)
    levelling.update(street(5.0), PERIOD)
    level = levelling.update(street(5.0), 2 * PERIOD)
    assert np.allclose(level, level_of(street(5.0)))


def test_a_ground_that_changes_slowly_is_followed_smoothly() -> None:
    levelling = Levelling()
    tilts = []
    for number in range(20):
        levelling.update(street(0.0 if number < 5 else 1.0, seed=number), PERIOD * number)
        assert levelling.ground is not None
        tilts.append(np.degrees(levelling.ground.tilt))
    assert max(np.abs(np.diff(tilts))) < 0.5
    assert tilts[-1] == pytest.approx(1.0, abs=0.1)


def test_a_ground_that_is_hidden_for_a_moment_is_remembered_and_then_forgotten() -> None:
    levelling, nothing = Levelling(), np.zeros((0, 4), np.float32)
    level = levelling.update(street(2.0), 0.0)
    assert np.array_equal(levelling.update(nothing, MEMORY / 2), level)
    assert levelling.update(nothing, 1.1 * MEMORY) is None


def test_time_that_goes_back_begins_afresh() -> None:
    levelling = Levelling()
    levelling.update(street(5.0), 100.0)
    assert np.allclose(levelling.update(street(1.0), 3.0), level_of(street(1.0)))


def test_boxes_come_back_to_the_sensor_s_frame() -> None:
    level = level_of(street(4.0, -3.0, 1.4))
    boxes = np.array([[20, 5, -1, 4, 2, 1.6, 0.3], [-8, -3, -1, 8, 2.5, 3, 2.0]], np.float32)
    found = Detections(
        transform_boxes(boxes, level), np.array([0.9, 0.5], np.float32), np.array([1, 3], np.int32)
    )
    back = in_sensor_frame(found, level)
    assert np.allclose(back.boxes, boxes, atol=0.02)
    assert back.scores is found.scores
    assert in_sensor_frame(found, None) is found
    assert len(in_sensor_frame(Detections.empty(), level)) == 0
