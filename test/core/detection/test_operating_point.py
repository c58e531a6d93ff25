# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds of scores, against counting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.evaluation import EvaluationError
from quantv2x_ros.core.detection.operating_point import choose_point, operating_points

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
HITS = np.array([True, True, False, True, False])


def test_a_threshold_counts_the_boxes_above_it():
    points = {p.threshold: p for p in operating_points(SCORES, HITS, 4, 0.1)}
    assert min(points) == 0.1
    assert (points[0.65].precision, points[0.65].recall) == (pytest.approx(2 / 3), 0.5)
    assert points[0.65].f1 == pytest.approx(4 / 7)
    assert points[0.9].recall == 0.0
    assert math.isnan(points[0.9].precision)
    assert points[0.9].f1 == 0.0


def test_the_best_f1_is_chosen():
    # above 0.5: three of four right, three of four found
    point = choose_point(operating_points(SCORES, HITS, 4, 0.1))
    assert (point.threshold, point.precision, point.recall) == (0.5, 0.75, 0.75)


def test_the_lowest_threshold_that_is_precise_enough_is_chosen():
    points = operating_points(SCORES, HITS, 4, 0.1)
    assert choose_point(points, precision=0.9).threshold == 0.7
    assert choose_point(points, precision=0.7).threshold == 0.5


def test_where_no_threshold_is_precise_enough_the_best_f1_is_chosen():
    points = operating_points(SCORES, np.array([False, True, False, True, True]), 4, 0.1)
    assert max(p.precision for p in points if p.precision == p.precision) < 0.9
    assert choose_point(points, precision=0.9) == choose_point(points)


def test_a_class_without_an_object_is_refused():
    with pytest.raises(EvaluationError, match="no object"):
        operating_points(SCORES, HITS, 0, 0.1)


@given(
    st.lists(st.tuples(st.floats(0.1, 1.0), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 10),
)
def test_no_other_threshold_has_a_better_f1(boxes, missed):
    scores = np.array([score for score, _ in boxes])
    hits = np.array([hit for _, hit in boxes])
    truth = int(hits.sum()) + missed
    if not truth:
        return
    chosen = choose_point(operating_points(scores, hits, truth, 0.1))
    for threshold in np.arange(0.1, 1.0, 0.01).round(2):
        right = int(hits[scores > threshold].sum())
        assert 2 * right / (int((scores > threshold).sum()) + truth) <= chosen.f1 + 1e-9
