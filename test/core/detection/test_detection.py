# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Head outputs to detections: against the golden results, and where those do not reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import (
    DetectionConfig,
    DetectionError,
    Detections,
    detect,
    find_candidates,
    nms,
)
from quantv2x_ros.core.geometry.boxes import bev_iou, corners, corners_in_range
from quantv2x_ros.core.geometry.grid import BevGrid

Golden = Mapping[str, npt.NDArray[Any]]
Heads = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]

PARITY = DetectionConfig.published()
# Not square, off centre, and wider than x ± 100.
GRID = BevGrid((-140.8, -40.0, -3.0, 140.8, 43.2, 1.0), (0.8, 0.8, 4.0), stride=4)
ANCHORS = AnchorSet.v2x_real().grid_anchors(GRID)


@pytest.fixture
def heads() -> Heads:
    """Head outputs on GRID that say: nothing anywhere."""
    height, width = GRID.shape
    return (
        np.full((height, width, 18), -10.0, np.float32),
        np.zeros((height, width, 42), np.float32),
        np.zeros((height, width, 12), np.float32),
    )


def _golden_heads(golden: Golden) -> Heads:
    maps = [np.ascontiguousarray(golden[k][0].transpose(1, 2, 0)) for k in ("cls", "reg", "dir")]
    return maps[0], maps[1], maps[2]


def test_candidates_agree_with_the_published_ones(golden: Golden, golden_grid: BevGrid) -> None:
    anchors = AnchorSet.v2x_real().grid_anchors(golden_grid)
    candidates = find_candidates(*_golden_heads(golden), anchors, PARITY)
    expected = golden["cand_box_xyzhwlr"][:, [0, 1, 2, 5, 4, 3, 6]]
    assert candidates.labels.tolist() == golden["cand_label"].tolist()
    np.testing.assert_allclose(candidates.scores, golden["cand_score"], rtol=1e-4)
    np.testing.assert_allclose(candidates.boxes, expected, rtol=1e-4, atol=1e-4)


def test_nms_keeps_the_published_boxes_in_their_order(golden: Golden) -> None:
    boxes = golden["cand_box_xyzhwlr"][:, [0, 1, 2, 5, 4, 3, 6]].astype(np.float32)
    kept = nms(boxes, golden["cand_score"], PARITY.nms_threshold)
    assert kept.tolist() == golden["nms_keep"].tolist()


def test_detections_agree_with_the_published_ones(golden: Golden, golden_grid: BevGrid) -> None:
    anchors = AnchorSet.v2x_real().grid_anchors(golden_grid)
    detections = detect(*_golden_heads(golden), anchors, PARITY)
    expected = golden["final_score_label"]
    assert detections.labels.tolist() == expected[:, 1].astype(int).tolist()
    np.testing.assert_allclose(detections.scores, expected[:, 0], rtol=1e-4)
    np.testing.assert_allclose(corners(detections.boxes), golden["final_corners"], atol=1e-3)


def test_direction_correction_turns_boxes_by_half_turns_only(
    golden: Golden, golden_grid: BevGrid
) -> None:
    anchors = AnchorSet.v2x_real().grid_anchors(golden_grid)
    plain = detect(*_golden_heads(golden), anchors, PARITY)
    corrected = detect(*_golden_heads(golden), anchors, replace(PARITY, use_direction=True))
    np.testing.assert_array_equal(corrected.scores, plain.scores)
    np.testing.assert_array_equal(corrected.boxes[:, :6], plain.boxes[:, :6])
    turns = (corrected.boxes[:, 6].astype(float) - plain.boxes[:, 6]) / np.pi
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    flipped = np.round(turns).astype(int) % 2 == 1
    assert 0 < flipped.sum() < len(flipped)


def test_nothing_found_is_an_answer(heads: Heads) -> None:
    assert len(detect(*heads, ANCHORS, DetectionConfig())) == 0


@pytest.mark.parametrize("anchor", range(6))
@pytest.mark.parametrize("label", [1, 2, 3])
def test_an_object_is_found_where_the_heads_put_it(heads: Heads, anchor: int, label: int) -> None:
    cls, reg, direction = heads
    row, column = 17, 50
    cls[row, column, anchor * 3 + label - 1] = 2.0
    reg[row, column, anchor * 7 : anchor * 7 + 7] = (0.1, -0.2, 0.05, 0.1, 0.2, 0.3, 0.4)
    direction[row, column, anchor * 2 + 1] = 1.0
    found = detect(cls, reg, direction, ANCHORS, DetectionConfig())
    length, width, height, z = [
        (3.9, 1.6, 1.56, -1.78),
        (0.8, 0.6, 1.73, -0.6),
        (8.0, 3.0, 3.0, -1.78),
    ][anchor // 2]
    diagonal = np.hypot(length, width)
    yaw = 0.4 + 1.57 * (anchor % 2)
    expected = [
        -140.8 + (column + 0.5) * 3.2 + 0.1 * diagonal,
        -40.0 + (row + 0.5) * 3.2 - 0.2 * diagonal,
        z + 0.05 * height,
        length * np.exp(0.3),
        width * np.exp(0.2),
        height * np.exp(0.1),
        # bin 1 is the half turn from 225 degrees on, -135 to 45
        yaw if yaw < 0.7853 else yaw - np.pi,
    ]
    assert found.labels.tolist() == [label]
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
    np.testing.assert_allclose(found.boxes[0], expected, rtol=1e-5, atol=1e-5)


def test_a_score_must_be_above_the_threshold(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[5, 40, 0] = 0.0  # a score of exactly 0.5
    cls[20, 40, 0] = 1e-4
    found = detect(cls, reg, direction, ANCHORS, DetectionConfig(score_threshold=0.5))
    assert len(found) == 1
    assert found.boxes[0, 1] == pytest.approx(-40.0 + 20.5 * 3.2)


def test_the_lowest_label_wins_a_tie(heads: Heads) -> None:
    heads[0][5, 40, 0:3] = 3.0
    assert detect(*heads, ANCHORS, DetectionConfig()).labels.tolist() == [1]


def test_only_the_best_candidates_enter_the_suppression(heads: Heads) -> None:
    cls, reg, direction = heads
    generator = np.random.default_rng(3)
    cls[:, :, 6] = generator.uniform(0, 5, cls.shape[:2])  # pedestrian anchors never overlap here
    config = DetectionConfig(range_x=np.inf, range_y=np.inf)
    assert cls[:, :, 6].size > config.max_candidates
    found = detect(cls, reg, direction, ANCHORS, config)
    best = np.sort(cls[:, :, 6].ravel())[::-1][: config.max_candidates].astype(float)
    assert len(found) == config.max_candidates == 1000
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-best)), rtol=1e-6)
    candidates = find_candidates(cls, reg, direction, ANCHORS, config)
    flat = np.ravel_multi_index(
        (
            np.round((candidates.boxes[:, 1] + 40.0) / 3.2 - 0.5).astype(int),
            np.round((candidates.boxes[:, 0] + 140.8) / 3.2 - 0.5).astype(int),
        ),
        GRID.shape,
    )
    assert (np.diff(flat) > 0).all()


def test_among_equal_scores_the_first_candidates_are_taken(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[:, :, 6] = 1.0
    cls[20, 40:45, 6] = 2.0
    config = DetectionConfig(max_candidates=7)
    candidates = find_candidates(cls, reg, direction, ANCHORS, config)
    x = -140.8 + 3.2 * (np.array([0, 1, 40, 41, 42, 43, 44]) + 0.5)
    np.testing.assert_allclose(candidates.boxes[:, 0], x, rtol=1e-5)
    np.testing.assert_allclose(candidates.boxes[[0, 2], 1], (-38.4, -40 + 20.5 * 3.2), rtol=1e-5)


def test_boxes_leave_the_published_range_whatever_the_grid(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[:, :, 0] = 2.0
    found = detect(cls, reg, direction, ANCHORS, DetectionConfig(max_candidates=10_000))
    everywhere = detect(
        cls,
        reg,
        direction,
        ANCHORS,
        DetectionConfig(max_candidates=10_000, range_x=np.inf, range_y=np.inf),
    )
    inside = corners_in_range(everywhere.boxes, 100.0, 40.0)
    assert 0 < inside.sum() < len(everywhere)
    np.testing.assert_array_equal(found.boxes, everywhere.boxes[inside])
    assert np.abs(corners(found.boxes)[:, :, 0]).max() <= 100.0
    assert np.abs(corners(found.boxes)[:, :, 1]).max() <= 40.0


def test_boxes_with_their_centre_in_range_stay_where_that_is_asked_for(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[:, :, 0] = 2.0
    settings = {"max_candidates": 10_000, "use_direction": False}
    boundless = DetectionConfig(**settings, range_x=np.inf, range_y=np.inf)
    everywhere = detect(cls, reg, direction, ANCHORS, boundless).boxes
    found = detect(
        cls, reg, direction, ANCHORS, DetectionConfig(**settings, range_y=38.5, whole_boxes=False)
    )
    inside = (np.abs(everywhere[:, 0]) <= 100.0) & (np.abs(everywhere[:, 1]) <= 38.5)
    np.testing.assert_array_equal(found.boxes, everywhere[inside])
    assert inside.sum() > corners_in_range(everywhere, 100.0, 38.5).sum()
    assert DetectionConfig.published().whole_boxes
    assert not DetectionConfig.recommended().whole_boxes


def test_class_aware_suppression_keeps_the_best_box_of_each_class(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[10, 40, 0] = 3.0  # vehicle
    cls[10, 40, 4 * 3 + 2] = 2.0  # truck at the same place
    cls[10, 40, 3] = 1.0  # second vehicle, turned, at the same place
    agnostic = detect(cls, reg, direction, ANCHORS, DetectionConfig())
    aware = detect(cls, reg, direction, ANCHORS, DetectionConfig(class_aware=True))
    assert agnostic.labels.tolist() == [1]
    assert aware.labels.tolist() == [1, 3]


def test_boxes_of_classes_that_compete_suppress_each_other(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[10, 40, 0] = 3.0  # vehicle
    cls[10, 40, 4 * 3 + 2] = 2.0  # truck at the same place
    cls[10, 40, 2 * 3 + 1] = 1.0  # pedestrian there
    cls[20, 40, 4 * 3 + 2] = 2.0  # truck alone
    config = DetectionConfig(class_aware=True, competing=((1, 3),))
    assert sorted(detect(cls, reg, direction, ANCHORS, config).labels) == [1, 2, 3]
    cls[10, 40, 4 * 3 + 2] = 4.0  # the truck is the more likely one
    assert sorted(detect(cls, reg, direction, ANCHORS, config).labels) == [2, 3, 3]


def test_each_class_has_its_threshold(heads: Heads) -> None:
    cls, reg, direction = heads
    scores = {1: 0.55, 2: 0.45, 3: 0.65}
    for row, (label, score) in enumerate(scores.items()):
        cls[5 + 5 * row, 40, 2 * 3 * (label - 1) + label - 1] = np.log(score / (1 - score))

    def labels(*thresholds: float) -> list[int]:
        config = DetectionConfig(class_aware=True, class_thresholds=thresholds)
        return sorted(detect(cls, reg, direction, ANCHORS, config).labels)

    assert labels(0.5, 0.4, 0.6) == [1, 2, 3]
    assert labels(0.6, 0.4, 0.6) == [2, 3]
    assert labels(0.5, 0.5, 0.7) == [1]
    with pytest.raises(DetectionError, match="2 entries for 3 classes"):
        labels(0.5, 0.5)


def test_a_truck_below_its_threshold_suppresses_no_vehicle(heads: Heads) -> None:
    cls, reg, direction = heads
    cls[10, 40, 0] = 0.3
    cls[10, 40, 4 * 3 + 2] = 0.4  # more likely, but not enough for a truck
    config = DetectionConfig(
        class_aware=True, competing=((1, 3),), class_thresholds=(0.5, 0.5, 0.7)
    )
    assert detect(cls, reg, direction, ANCHORS, config).labels.tolist() == [1]


def test_one_threshold_in_the_place_of_those_of_the_classes() -> None:
    config = DetectionConfig.recommended()
    assert config.lowest_threshold == 0.4
    assert config.with_threshold(0.2).thresholds(3).tolist() == [np.float32(0.2)] * 3
    assert config.with_threshold(0.2).competing == config.competing != ()
    assert config.for_ranking(0.2) == replace(config.with_threshold(0.2), competing=())


def test_what_is_kept_overlaps_no_more_than_the_threshold(
    golden: Golden, golden_grid: BevGrid
) -> None:
    anchors = AnchorSet.v2x_real().grid_anchors(golden_grid)
    overlap = bev_iou(*[detect(*_golden_heads(golden), anchors, PARITY).boxes] * 2)
    assert np.triu(overlap, 1).max() <= PARITY.nms_threshold


def test_boxes_that_overflow_and_logits_that_are_not_finite_are_no_candidates(
    heads: Heads,
) -> None:
    cls, reg, direction = heads
    cls[10, 40, 0] = 3.0
    reg[10, 40, 4] = 1e4  # width of infinity
    cls[11, 40, 0] = np.nan
    cls[12, 40, 0] = np.inf  # a certain one
    found = detect(cls, reg, direction, ANCHORS, DetectionConfig())
    assert found.scores.tolist() == [1.0]


def test_nms_of_nothing_is_nothing_and_ties_keep_their_order() -> None:
    assert nms(np.zeros((0, 7)), np.zeros(0), 0.15).tolist() == []
    apart = np.array([(10.0 * i, 0, 4, 2, 0) for i in range(4)])
    assert nms(apart, np.ones(4), 0.15).tolist() == [0, 1, 2, 3]
    assert nms(apart[[0, 0, 1]], np.ones(3), 0.15).tolist() == [0, 2]


def test_outputs_that_do_not_fit_are_refused(heads: Heads) -> None:
    cls, reg, direction = heads
    config = DetectionConfig()
    with pytest.raises(DetectionError, match="anchors a cell"):
        detect(cls, reg, direction, ANCHORS[:-1], config)
    with pytest.raises(DetectionError, match="anchors a cell"):
        detect(cls[:, :, :17], reg, direction, ANCHORS, config)
    with pytest.raises(DetectionError, match="reg must be float32"):
        detect(cls, reg.astype(np.float64), direction, ANCHORS, config)
    with pytest.raises(DetectionError, match="direction must be float32 of shape"):
        detect(cls, reg, direction[1:], ANCHORS, config)
    with pytest.raises(DetectionError, match="as many scores"):
        nms(np.zeros((2, 7)), np.zeros(3), 0.1)
    with pytest.raises(DetectionError, match="not finite"):
        nms(np.zeros((1, 7)), np.array([np.nan]), 0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"score_threshold": 1.0},
        {"score_threshold": float("nan")},
        {"nms_threshold": -0.1},
        {"max_candidates": 0},
        {"range_x": 0.0},
        {"range_y": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DetectionError, match=next(iter(change)).split("_")[0]):
        DetectionConfig(**change)


def test_detections_check_themselves() -> None:
    assert len(Detections.empty()) == 0
    with pytest.raises(DetectionError, match="as many scores"):
        Detections(np.zeros((1, 7), np.float32), np.zeros(2, np.float32), np.ones(1, np.int32))
    with pytest.raises(DetectionError, match="from 1"):
        Detections(np.zeros((1, 7), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int32))


def test_a_box_of_the_ego_itself_is_dropped_where_asked_for(heads: Heads) -> None:
    cls, reg, direction = heads
    rows, columns = GRID.cell_centres()
    own = (int(np.abs(rows).argmin()), int(np.abs(columns).argmin()))
    other = (own[0] + 3, own[1] + 3)
    for row, column in (own, other):
        cls[row, column, 0] = 4.0  # vehicle, along x
    centre = np.array([columns[own[1]], rows[own[0]]])
    reg[(*own, slice(0, 2))] = -centre / np.hypot(3.9, 1.6)
    kept = detect(cls, reg, direction, ANCHORS, replace(PARITY, drop_ego=True))
    everything = detect(cls, reg, direction, ANCHORS, PARITY)
    assert len(everything) == 2
    assert len(kept) == 1
    assert np.hypot(*kept.boxes[0, :2]) > 3.0
