# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streaming AP: a world that moves while the detector works."""

import numpy as np
import pytest

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.evaluation.scores import StreamingPrecision, first_frame, measurable

STILL = np.eye(4)


def car(x):
    return np.array([[x, 0.0, -1.0, 4.0, 2.0, 1.5, 0.0]], np.float32)


def seen(boxes):
    return Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.ones(len(boxes), np.int32))


def there(boxes):
    return Truth(boxes, np.ones(len(boxes), np.int64), np.arange(len(boxes)))


def precision(latency, worlds, poses=None, measured=0.0, first=0):
    """Streaming AP at IoU 0.7 of a perfect detector in a world of cars, one each frame."""
    stream = StreamingPrecision(AveragePrecision(("vehicle",)), latency, first)
    for number, world in enumerate(worlds):
        pose = STILL if poses is None else poses[number]
        stream.step(number, pose, seen(world), measured, there(world))
    return stream.compute()


def test_no_latency_is_the_usual_precision():
    result = precision(0.0, [car(10.0 + n) for n in range(5)])
    assert result["mAP"]["0.7"] == 1.0
    assert result["frames"] == 5


def test_what_stands_still_is_found_late_as_well():
    result = precision(250.0, [car(10.0)] * 8)
    assert result["mAP"]["0.7"] == 1.0
    assert result["frames"] == 5  # frames 0 to 2 have no boxes yet


def test_what_moves_a_length_in_the_meantime_is_missed():
    assert precision(100.0, [car(10.0 + 4.0 * n) for n in range(6)])["mAP"]["0.3"] == 0.0
    slow = precision(100.0, [car(10.0 + 0.2 * n) for n in range(6)])
    assert slow["mAP"]["0.7"] == 1.0  # 0.2 m of 4 m


def test_the_ego_takes_its_own_motion_into_account():
    poses = [matrix_from_v2x([3.0 * n, 0.0, 0.0, 0.0, 10.0 * n, 0.0]) for n in range(6)]
    worlds = []
    for pose in poses:
        at = transform_between(STILL, pose) @ np.array([40.0, 5.0, 0.0, 1.0])
        box = car(0.0)
        box[0, :3] = at[:3]
        box[0, 6] = -np.arctan2(pose[1, 0], pose[0, 0])
        worlds.append(box)
    assert precision(200.0, worlds, poses)["mAP"]["0.7"] == 1.0


def test_a_busy_detector_misses_sweeps():
    # the car stands where it stood at frame 0, 3 and 6, the only sweeps that are looked at
    worlds = [car(10.0 + 20.0 * (number // 3)) for number in range(9)]
    stream = StreamingPrecision(AveragePrecision(("vehicle",)), 250.0)
    used = []
    for number, world in enumerate(worlds):
        stream.step(number, STILL, seen(world), 0.0, there(world))
        used.append(len(stream._used))
    assert used == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_measured_latency_counts_where_none_is_given():
    result = precision(None, [car(10.0 + 4.0 * n) for n in range(6)], measured=150.0)
    assert result["measured"] is True
    assert result["latency_ms"] == 150.0
    assert result["mAP"]["0.3"] == 0.0


def test_scenarios_do_not_leak_into_each_other():
    stream = StreamingPrecision(AveragePrecision(("vehicle",)), 100.0)
    stream.step(0, STILL, seen(car(10.0)), 0.0, there(car(10.0)))
    stream.start_scenario()
    stream.step(0, STILL, seen(car(50.0)), 0.0, there(car(50.0)))
    assert stream.metric.frames == 0


def test_latencies_are_compared_on_the_frames_that_all_have():
    assert first_frame([0.0, 100.0, 250.0, None]) == 3
    assert first_frame([100.0]) == 1
    assert precision(0.0, [car(10.0)] * 6, first=3)["frames"] == 3
    kept, notes = measurable([None, 0.0, 100.0, 200.0], longest=2)
    assert kept == [None, 0.0, 100.0]
    assert notes == ["streaming AP at 200 ms is left out: no scenario has more than 2 frames"]


@pytest.mark.parametrize("latency", [0.0, 130.0])
def test_frames_without_truth_only_let_time_pass(latency):
    stream = StreamingPrecision(AveragePrecision(("vehicle",)), latency)
    for number in range(4):
        truth = there(car(10.0)) if number == 3 else None
        stream.step(number, STILL, seen(car(10.0)), 0.0, truth)
    assert stream.compute()["frames"] == 1
    assert stream.compute()["mAP"]["0.7"] == 1.0
