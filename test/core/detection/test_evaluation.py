# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision, against hand-made cases and a slow reference."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.detection import intervals
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import (
    AveragePrecision,
    EvaluationError,
    area_under_curve,
)
from quantv2x_ros.core.detection.intervals import draw_scenes, interval
from quantv2x_ros.core.detection.matching import match_frame, recall_precision

CLASSES = ("vehicle", "pedestrian", "truck")


def boxes_at(*positions, size=(4.0, 2.0, 1.5)):
    return np.array([[x, y, 0.0, *size, 0.0] for x, y in positions], np.float32).reshape(-1, 7)


def found(boxes, scores, label=1):
    return Detections(boxes, np.array(scores, np.float32), np.full(len(boxes), label, np.int32))


def labels(count, label=1):
    return np.full(count, label, np.int64)


def test_perfect_detections_have_an_average_precision_of_one():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0), (10, 0), (20, 5))
    metric.add(found(truth, [0.9, 0.3, 0.5]), truth, labels(3))
    result = metric.compute()
    assert result["AP"]["vehicle"] == {"0.3": 1.0, "0.5": 1.0, "0.7": 1.0}
    assert result["objects"] == {"vehicle": 3, "pedestrian": 0, "truck": 0}


def test_a_class_without_truth_is_left_out_of_the_mean():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0), (10, 0))
    metric.add(found(truth[:1], [0.9]), truth, labels(2))
    result = metric.compute()
    assert math.isnan(result["AP"]["truck"]["0.5"])
    assert result["mAP"]["0.5"] == result["AP"]["vehicle"]["0.5"] == 0.5


def test_a_false_detection_ranked_first_costs_precision_as_computed_by_hand():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0), (10, 0))
    detections = found(boxes_at((50, 0), (0, 0), (10, 0)), [0.9, 0.8, 0.7])
    metric.add(detections, truth, labels(2))
    # precision at the two hits: 1/2, 2/3; made monotonic: 2/3, 2/3
    assert metric.compute()["AP"]["vehicle"]["0.5"] == pytest.approx(2 / 3)


def test_an_object_found_twice_counts_once():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0))
    metric.add(found(boxes_at((0, 0), (0.1, 0)), [0.9, 0.8]), truth, labels(1))
    metric.add(found(boxes_at((0, 0)), [0.5]), truth, labels(1))
    # hits in rank order: true, false, true
    assert metric.compute()["AP"]["vehicle"]["0.3"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_of_another_class_is_no_match():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0))
    metric.add(found(truth, [0.9], label=3), truth, labels(1))
    assert metric.compute()["AP"]["vehicle"]["0.3"] == 0.0


def test_overlap_decides_at_each_threshold():
    metric = AveragePrecision(CLASSES)
    # shifted by 1 m of 4: overlap 3 of 5 m² a metre of width = 0.6
    metric.add(found(boxes_at((1, 0)), [0.9]), boxes_at((0, 0)), labels(1))
    assert metric.compute()["AP"]["vehicle"] == {"0.3": 1.0, "0.5": 1.0, "0.7": 0.0}


def test_boxes_out_of_range_count_for_nothing():
    metric = AveragePrecision(CLASSES)
    inside = boxes_at((0, 39))
    outside = boxes_at((0, 41), (101, 0))
    metric.add(
        found(np.concatenate([outside, inside]), [0.9, 0.9, 0.5]),
        np.concatenate([inside, boxes_at((-101, 0))]),
        labels(2),
    )
    assert metric.compute()["AP"]["vehicle"]["0.7"] == 1.0


def test_protocols_differ_where_frames_disagree_on_scores():
    truth = boxes_at((0, 0))
    results = {}
    for protocol in ("global", "v2xreal"):
        metric = AveragePrecision(CLASSES, protocol=protocol)
        metric.add(found(boxes_at((50, 0)), [0.3]), truth, labels(1))
        metric.add(found(truth, [0.9]), truth, labels(1))
        results[protocol] = metric.compute()["AP"]["vehicle"]["0.5"]
    # global: the hit ranks first; v2xreal: the first frame's false detection does
    assert results == {"global": 0.5, "v2xreal": 0.25}


def test_frames_without_anything_are_counted():
    metric = AveragePrecision(CLASSES)
    metric.add(Detections.empty(), boxes_at(), labels(0))
    assert metric.frames == 1
    assert math.isnan(metric.compute()["mAP"]["0.3"])
    metric.add(Detections.empty(), boxes_at((0, 0)), labels(1))
    assert metric.compute()["mAP"]["0.3"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "local"}, "protocol must be one of global, v2xreal, got 'local'"),
        ({"ious": (0.0,)}, r"overlaps in \(0, 1\]"),
        ({"classes": ()}, "at least one class"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(EvaluationError, match=message):
        AveragePrecision(**({"classes": CLASSES} | arguments))


def test_labels_that_are_no_class_are_refused():
    metric = AveragePrecision(CLASSES)
    truth = boxes_at((0, 0))
    with pytest.raises(EvaluationError, match="labels must be 1 to 3, got 4 to 4"):
        metric.add(Detections.empty(), truth, labels(1, 4))
    with pytest.raises(EvaluationError, match="labels must be 1 to 3, got 4 to 4"):
        metric.add(found(truth, [0.5], label=4), truth, labels(1))
    with pytest.raises(EvaluationError, match="1 truth boxes need as many labels"):
        metric.add(Detections.empty(), truth, labels(2))
    assert metric.frames == 0


def slow_average_precision(hits, truth_count):
    """Integral of the highest precision at each recall or beyond, step by step."""
    total = 0.0
    for rank in range(1, truth_count + 1):
        precisions = [
            sum(hits[: n + 1]) / (n + 1) for n in range(len(hits)) if sum(hits[: n + 1]) >= rank
        ]
        total += max(precisions, default=0.0) / truth_count
    return total


@settings(deadline=None)
@given(hits=st.lists(st.booleans(), max_size=25), missed=st.integers(0, 5))
def test_the_area_is_that_of_a_slow_reference(hits, missed):
    truth_count = sum(hits) + missed
    area = area_under_curve(np.array(hits, bool), truth_count)
    if truth_count == 0:
        assert math.isnan(area)
    else:
        assert area == pytest.approx(slow_average_precision(hits, truth_count))


@settings(deadline=None)
@given(data=st.data(), n=st.integers(0, 6), m=st.integers(0, 6))
def test_matches_are_one_to_one_reach_the_threshold_and_leave_nothing_better(data, n, m):
    values = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8]), min_size=n * m, max_size=n * m)
    iou = np.array(data.draw(values)).reshape(n, m)
    scores = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)), np.float32)
    matches = match_frame(iou, scores, 0.4)
    taken = matches[matches >= 0]
    assert len(set(taken.tolist())) == len(taken)
    for i, match in enumerate(matches):
        if match >= 0:
            assert iou[i, match] >= 0.4
        else:  # all that it overlaps enough went to detections that rank no lower
            for j in np.flatnonzero(iou[i] >= 0.4):
                owner = np.flatnonzero(matches == j)
                assert owner.size == 1
                assert scores[owner[0]] >= scores[i]


def test_recall_and_precision_of_a_frame():
    truth = boxes_at((0, 0), (10, 0), (20, 0))
    detections = found(boxes_at((0, 0), (20, 0), (50, 0)), [0.9, 0.8, 0.7])
    score = recall_precision(detections, truth, labels(3), iou=0.3)
    assert (score.found, score.missed, score.false) == (2, 1, 1)
    assert score.recall == score.precision == pytest.approx(2 / 3)
    hidden = recall_precision(
        detections, truth, labels(3), iou=0.3, optional=np.array([False, True, True])
    )
    assert (hidden.found, hidden.missed, hidden.false) == (1, 0, 1)


def test_classes_can_be_left_out_of_account():
    truth = boxes_at((0, 0))
    detections = found(truth, [0.9], label=3)
    assert recall_precision(detections, truth, labels(1), iou=0.5).recall == 0.0
    assert recall_precision(detections, truth, None, iou=0.5).recall == 1.0
    nothing = recall_precision(Detections.empty(), truth, None, iou=0.5)
    assert nothing.recall == 0.0
    assert math.isnan(nothing.precision)


def random_metric(seed):
    """Four scenes of two frames with some noise."""
    rng = np.random.default_rng(seed)
    metric = AveragePrecision(CLASSES)
    frames = []
    for _ in range(4):
        metric.start_scene()
        scene = []
        for _ in range(2):
            truth = boxes_at(*[(20.0 * i, 0.0) for i in range(4)])
            shift = rng.normal(0, 1.0, (4, 1)) * [[1, 0, 0, 0, 0, 0, 0]]
            boxes = (truth + shift).astype(np.float32)
            scene.append((found(boxes, rng.uniform(0.2, 1, 4)), truth, labels(4)))
            metric.add(*scene[-1])
        frames.append(scene)
    return metric, frames


def test_a_drawn_set_of_scenes_has_the_precision_of_its_scenes():
    metric, scenes = random_metric(1)
    drawn = metric.drawn()
    weights = draw_scenes(4)
    for draw in (0, 7, 50):
        repeated = AveragePrecision(CLASSES)
        for scene, times in zip(scenes, weights[draw], strict=True):
            for frame in scene:
                for _ in range(int(times)):
                    repeated.add(*frame)
        expected = repeated.compute()
        for iou in ("0.3", "0.5", "0.7"):
            assert drawn["vehicle"][iou][draw] == pytest.approx(expected["AP"]["vehicle"][iou])
            assert drawn["mean"][iou][draw] == drawn["vehicle"][iou][draw]
    assert drawn.keys() == {"vehicle", "mean"}


def test_drawn_sets_do_not_depend_on_how_many_are_worked_on_at_once(monkeypatch):
    metric, _ = random_metric(3)
    whole = metric.drawn()
    monkeypatch.setattr(intervals, "BLOCK", 100)
    for iou, values in metric.drawn()["mean"].items():
        np.testing.assert_allclose(values, whole["mean"][iou], rtol=1e-12)


def test_an_interval_holds_the_figure_and_shrinks_with_scenes():
    metric, _ = random_metric(2)
    low, high = interval(metric.drawn()["vehicle"]["0.5"])
    assert low < metric.compute()["AP"]["vehicle"]["0.5"] < high
    assert interval(np.full(3, np.nan)) == pytest.approx((np.nan, np.nan), nan_ok=True)
    one = AveragePrecision(CLASSES)
    one.add(found(boxes_at((0, 0), (9, 9)), [0.9, 0.8]), boxes_at((0, 0), (30, 0)), labels(2))
    assert interval(one.drawn()["vehicle"]["0.5"]) == (0.5, 0.5)


def test_without_an_object_nothing_is_drawn():
    metric = AveragePrecision(CLASSES)
    metric.add(found(boxes_at((0, 0)), [0.9]), boxes_at(), labels(0))
    assert metric.drawn() == {}
