# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the truth: who belongs where, and what counts against a part."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import (
    RANGE_BANDS,
    SIGHTS,
    AveragePrecision,
    Breakdown,
    area_under_curve,
    precision_at,
    range_groups,
    sight_groups,
)

CLASSES = ("vehicle", "pedestrian")


def boxes_at(*positions):
    return np.array([[x, y, 0.0, 4.0, 2.0, 1.5, 0.0] for x, y in positions], np.float32).reshape(
        -1, 7
    )


def found(boxes, scores):
    return Detections(boxes, np.array(scores, np.float32), np.ones(len(boxes), np.int32))


def ones(count):
    return np.ones(count, np.int64)


def broken_down(detections, truth, truth_groups, groups, names=("near", "far")):
    whole = AveragePrecision(CLASSES)
    parts = Breakdown(names, lambda: AveragePrecision(CLASSES))
    matches = whole.match(detections, truth, ones(len(truth)))
    parts.add(matches, np.asarray(truth_groups), np.asarray(groups))
    return parts.compute()


def test_distance_decides_the_band():
    boxes = boxes_at((0, 29), (0, -31), (49, 1), (99, 0), (100, 38))
    groups = range_groups(boxes)
    assert groups.tolist() == [0, 1, 1, 2, len(RANGE_BANDS)]


def test_points_decide_who_can_see_an_object():
    boxes = boxes_at((0, 0), (10, 0), (20, 0), (30, 0))
    inside = np.zeros((10, 3), np.float32)
    own = np.concatenate([inside, inside[:9] + np.float32([10, 0, 0])])
    peer = np.float32([[20.5, 0.5, 0.5], [0, 0, 0]])
    assert [SIGHTS[group] for group in sight_groups(boxes, [own, peer])] == [
        "clear", "sparse", "hidden from the ego", "seen by nobody",
    ]  # fmt: skip
    assert sight_groups(boxes[2:], [own]).tolist() == [3, 3]


def test_an_object_counts_in_its_own_part_only():
    truth = boxes_at((0, 0), (50, 0))
    result = broken_down(found(truth, [0.9, 0.8]), truth, [0, 1], [0, 1])
    for name in ("near", "far"):
        assert result[name]["AP"]["vehicle"]["0.5"] == 1.0
        assert result[name]["objects"]["vehicle"] == 1


def test_a_detection_of_another_part_neither_helps_nor_harms():
    truth = boxes_at((0, 0), (50, 0))
    # the first detection ranks higher and is of the far object, though its own box is near
    result = broken_down(found(truth[::-1], [0.9, 0.8]), truth, [0, 1], [0, 0])
    assert result["near"]["AP"]["vehicle"]["0.5"] == 1.0
    assert result["far"]["AP"]["vehicle"]["0.5"] == 1.0


def test_a_false_detection_counts_where_its_own_box_belongs():
    truth = boxes_at((0, 0), (50, 0))
    detections = found(boxes_at((20, 0), (0, 0), (50, 0)), [0.9, 0.8, 0.7])
    result = broken_down(detections, truth, [0, 1], [1, 0, 1])
    assert result["near"]["AP"]["vehicle"]["0.5"] == 1.0
    assert result["far"]["AP"]["vehicle"]["0.5"] == 0.5


def test_a_part_without_objects_has_no_precision():
    truth = boxes_at((0, 0))
    result = broken_down(found(truth, [0.9]), truth, [0], [0])
    assert math.isnan(result["far"]["mAP"]["0.5"])
    empty = broken_down(Detections.empty(), truth[:0], [], [])
    assert math.isnan(empty["near"]["mAP"]["0.5"])


@given(hits=st.lists(st.booleans(), min_size=1, max_size=20), missed=st.integers(0, 4))
def test_the_curve_holds_the_area(hits, missed):
    truth = sum(hits) + missed
    if truth:
        recall = (np.arange(truth) + 1.0) / truth
        curve = precision_at(recall, np.array(hits), truth)
        assert curve.mean() == pytest.approx(area_under_curve(np.array(hits), truth))
        assert (np.diff(curve) <= 1e-12).all()


def test_curves_give_precision_over_recall():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0), (10, 0))
    metric.add(found(boxes_at((0, 0), (30, 0)), [0.9, 0.8]), truth, ones(2))
    curve = metric.curves(points=5)["vehicle"]["0.5"]
    assert curve["recall"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert curve["precision"] == [1.0, 1.0, 1.0, 0.0, 0.0]
