# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kept boxes move to the mean of those that they suppressed."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig, DetectionError, nms, vote
from quantv2x_ros.core.geometry import rotated
from quantv2x_ros.core.geometry.boxes import bev_iou, bev_rectangles

CAR = np.array([10.0, 5.0, -1.0, 4.5, 1.9, 1.6, 0.3], np.float32)


def cars(*shifts):
    """The same car, moved along x by so many metres."""
    boxes = np.tile(CAR, (len(shifts), 1))
    boxes[:, 0] += shifts
    return boxes


def floats(*values):
    return np.array(values, np.float32)


def test_a_box_moves_towards_those_it_suppressed_by_their_weights():
    boxes, scores, labels = cars(0.0, 0.4), floats(0.8, 0.4), np.array([1, 1])
    (refined,) = vote(np.array([0]), boxes, scores, labels, 0.5)
    assert 0.0 < refined[0] - CAR[0] < 0.2  # less than half-way: the other is less sure
    assert refined[1:] == pytest.approx(CAR[1:], abs=1e-5)


def test_equal_boxes_around_leave_the_middle_where_it_is():
    boxes, scores, labels = cars(0.0, -0.5, 0.5), floats(0.9, 0.6, 0.6), np.array([1, 1, 1])
    (refined,) = vote(np.array([0]), boxes, scores, labels, 0.3)
    assert refined == pytest.approx(CAR, abs=1e-5)


def test_other_classes_and_boxes_far_off_have_no_vote():
    boxes, scores, labels = cars(0.0, 0.4, 3.0), floats(0.9, 0.9, 0.9), np.array([1, 3, 1])
    assert vote(np.array([0]), boxes, scores, labels, 0.5) == pytest.approx(CAR[None], abs=1e-5)


def test_the_heading_is_that_of_the_best_box():
    boxes = cars(0.0, 0.0)
    boxes[1, 6] += np.float32(np.pi)
    (refined,) = vote(np.array([0]), boxes, floats(0.9, 0.8), np.array([1, 1]), 0.5)
    assert refined[6] == CAR[6]


def test_a_box_without_an_area_stays():
    boxes = cars(0.0)
    boxes[0, 3] = 0.0
    assert np.array_equal(vote(np.array([0]), boxes, floats(0.9), np.array([1]), 0.5), boxes)


def test_no_box_is_a_valid_input():
    nothing = np.zeros((0, 7), np.float32)
    assert vote(np.zeros(0, np.int64), nothing, floats(), np.zeros(0, int), 0.5).shape == (0, 7)


@given(
    shifts=st.lists(st.floats(-20.0, 20.0, width=32), min_size=1, max_size=30),
    threshold=st.floats(0.0, 0.99),
    data=st.data(),
)
def test_a_refined_box_stays_within_its_voters_and_the_candidates_are_not_touched(
    shifts, threshold, data
):
    boxes = cars(*shifts)
    count = len(boxes)
    scores = data.draw(st.lists(st.floats(0.0625, 1.0, width=32), min_size=count, max_size=count))
    labels = np.array(data.draw(st.lists(st.integers(1, 3), min_size=count, max_size=count)))
    before = boxes.copy()
    kept = nms(boxes, floats(*scores), 0.15, labels)
    refined = vote(kept, boxes, floats(*scores), labels, threshold)
    assert np.array_equal(boxes, before)
    assert (np.abs(refined[:, 0] - boxes[kept, 0]) < CAR[3]).all()
    assert refined[:, 1:] == pytest.approx(boxes[kept, 1:], abs=1e-4)


@given(seed=st.integers(0, 1 << 30), threshold=st.floats(0.0, 0.99))
def test_overlaps_above_a_threshold_are_those_of_every_pair(seed, threshold):
    rng = np.random.default_rng(seed)
    boxes = rng.uniform((-6, -6, 0, 0.5, 0.5, 1, -4), (6, 6, 0, 12, 3, 2, 4), (40, 7))
    labels, chosen = rng.integers(1, 4, 40), rng.permutation(40)[:15]
    every = bev_iou(boxes[chosen], boxes)
    same = labels[chosen][:, None] == labels[None, :]
    expected = np.where(same & (every > threshold), every, 0.0)
    found = rotated.overlaps_above(bev_rectangles(boxes), chosen, labels, threshold)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_a_threshold_that_leaves_no_voter_is_refused(threshold):
    with pytest.raises(DetectionError, match="vote_threshold"):
        dataclasses.replace(DetectionConfig(), vote_threshold=threshold)


def test_new_bundles_vote_and_published_post_processing_does_not():
    assert DetectionConfig.recommended().vote_threshold == 0.5
    assert DetectionConfig.published().vote_threshold == 0.0
