# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How objects are followed is scored with the thresholds that a vehicle goes by."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.detection.detection import DetectionConfig, Detections
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.evaluation.tracking import TrackingScore

CLASSES = ("vehicle", "pedestrian", "truck")
DETECTION = replace(DetectionConfig.recommended(), class_thresholds=(0.5, 0.4, 0.6))
PLACES = np.array([[10.0, 0.0], [10.0, 10.0], [-20.0, 5.0]])


def boxes_at(places):
    boxes = np.zeros((len(places), 7), np.float32)
    boxes[:, :2], boxes[:, 3:6] = places, (4.5, 2.0, 1.6)
    return boxes


def truth_at(places, ids=(7, 8, 9)):
    labels = np.ones(len(places), np.int64)
    return Truth(boxes_at(places), labels, np.array(ids[: len(places)], np.int64))


def seen(places, scores):
    labels = np.ones(len(places), np.int32)
    return Detections(boxes_at(places), np.asarray(scores, np.float32), labels)


def test_what_is_below_the_thresholds_is_missed_and_not_false():
    score = TrackingScore(CLASSES, DETECTION)
    for number in range(4):
        score.step(number, np.eye(4), seen(PLACES, [0.9, 0.8, 0.45]), truth_at(PLACES))
    found = score.compute()["vehicle"]
    assert (found["objects"], found["missed"], found["false"]) == (12, 4, 0)
    assert found["MOTA"] == pytest.approx(8 / 12)
    assert found["MOTP"] == pytest.approx(1.0)


def test_each_scene_is_followed_on_its_own_and_all_count():
    score = TrackingScore(CLASSES, DETECTION)
    for _ in range(2):
        score.start_scenario()
        for number in range(3):
            score.step(number, np.eye(4), seen(PLACES, [0.9] * 3), truth_at(PLACES))
    found = score.compute()["vehicle"]
    assert (found["objects"], found["id_switches"], found["MOTA"]) == (18, 0, 1.0)


def test_frames_that_are_not_evaluated_keep_the_tracks():
    """An object that is away for longer than a track lives comes back as another."""
    switches = []
    for shown in (True, False):
        score = TrackingScore(CLASSES, DETECTION)
        for number in range(11):
            there = PLACES[:1] if shown or number in (0, 10) else PLACES[:0]
            truth = truth_at(PLACES[:1]) if number in (0, 10) else None
            score.step(number, np.eye(4), seen(there, [0.9] * len(there)), truth)
        switches.append(score.compute()["vehicle"]["id_switches"])
    assert switches == [0, 1]


def test_the_command_measures_it_on_every_frame(tmp_path, bundles, dataset):
    out = tmp_path / "result.json"
    command = ["evaluate", "--data", dataset / "test", "--bundle", bundles["int8"]]
    options = ["--set", "measure.tracking=true", "--max-frames", 2, "--json", out]
    result = CliRunner().invoke(app, [*map(str, command + options)])
    assert result.exit_code == 0, result.output
    tracking = json.loads(out.read_text())["tracking"]
    assert set(tracking) == set(CLASSES)
    assert sum(row["objects"] for row in tracking.values()) > 0
