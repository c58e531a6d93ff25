# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects that are missed, false, or change their ids are counted as the metrics define it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantv2x_ros.core.tracking.clear_mot import MotCounts, MotScorer


def test_a_perfect_tracker_has_all():
    scorer = MotScorer(0.5)
    for _ in range(3):
        scorer.take("ab", [1, 2], np.eye(2))
    assert vars(scorer.counts) == vars(MotCounts(6, 0, 0, 0, 6.0))
    assert scorer.counts.accuracy == scorer.counts.precision == 1.0


def test_each_kind_of_error_counts_once():
    scorer = MotScorer(0.5)
    scorer.take("ab", [1, 2], np.eye(2))
    scorer.take("ab", [1], np.array([[0.8], [0.0]]))  # b is missed
    scorer.take("ab", [2, 1, 7], np.array([[0.9, 0, 0], [0, 0.9, 0]]))  # both swap, 7 is false
    counts = scorer.counts
    assert (counts.objects, counts.missed, counts.false, counts.switches) == (6, 1, 1, 2)
    assert counts.accuracy == pytest.approx(1 - 4 / 6)
    assert counts.precision == pytest.approx((2 + 0.8 + 1.8) / 5)


def test_a_pair_that_still_overlaps_is_kept_though_another_overlaps_more():
    scorer = MotScorer(0.5)
    scorer.take("a", [1], np.array([[0.9]]))
    scorer.take("a", [1, 2], np.array([[0.6, 0.9]]))
    assert (scorer.counts.switches, scorer.counts.false) == (0, 1)


def test_an_id_that_comes_back_after_a_gap_is_no_switch_and_another_is():
    scorer = MotScorer(0.5)
    for tracks in ([1], [], [1], [], [2]):
        scorer.take("a", tracks, np.ones((1, len(tracks))))
    assert (scorer.counts.missed, scorer.counts.switches) == (2, 1)


def test_without_an_object_there_is_no_accuracy():
    scorer = MotScorer(0.5)
    scorer.take("", [1, 2], np.zeros((0, 2)))
    assert scorer.counts.false == 2
    assert math.isnan(scorer.counts.accuracy)


def test_scenes_add_up():
    both = MotCounts()
    both.add(MotCounts(4, 1, 0, 0, 2.0))
    both.add(MotCounts(6, 0, 2, 1, 5.0))
    assert vars(both) == vars(MotCounts(10, 1, 2, 1, 7.0))
