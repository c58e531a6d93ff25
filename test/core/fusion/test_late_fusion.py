# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Late fusion: boxes meet in the ego's frame at the ego's time, and doubles go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections
from quantv2x_ros.core.fusion.late_fusion import carried, late_fusion
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x

EGO = matrix_from_v2x([5.0, -3.0, 0.0, 0.0, 40.0, 0.0])
PEER = matrix_from_v2x([30.0, 10.0, 0.0, 0.0, -100.0, 0.0])


def cars(*places: tuple[float, float], score: float = 0.9) -> Detections:
    """Cars at places (x, y) of the map, as an agent at its origin sees them."""
    boxes = np.array([[x, y, 0.0, 4.5, 1.9, 1.6, 0.3] for x, y in places], np.float32)
    count = len(places)
    return Detections(
        boxes.reshape(-1, 7), np.full(count, score, np.float32), np.ones(count, np.int32)
    )


def seen_by(pose, detections: Detections) -> Detections:
    """The same cars in an agent's frame."""
    return carried(detections, np.zeros((len(detections), 2)), np.eye(4), invert(pose), 0.0)


@given(st.floats(-25.0, 25.0), st.floats(-25.0, 25.0), st.floats(0.0, 0.4))
def test_a_moving_car_is_where_it_drives_to(speed_x, speed_y, age):
    detections = seen_by(PEER, cars((10.0, 0.0), (60.0, 20.0)))
    velocities = np.array([[speed_x, speed_y], [0.0, 0.0]]) @ PEER[:2, :2]
    found = carried(detections, velocities, PEER, invert(EGO), age)
    then = (10.0 + age * speed_x, age * speed_y)
    np.testing.assert_allclose(found.boxes, seen_by(EGO, cars(then, (60.0, 20.0))).boxes, atol=1e-3)


def test_what_two_see_counts_once_and_what_one_sees_stays():
    config = DetectionConfig(nms_threshold=0.15)
    ego = seen_by(EGO, cars((10.0, 0.0), (20.0, 5.0)))
    peer = cars((10.2, 0.1), (40.0, 8.0), score=0.7)
    both, numbers = late_fusion([ego, seen_by(EGO, peer)], config)
    assert both.scores.tolist() == pytest.approx([0.9, 0.9, 0.7])
    assert sorted(numbers.tolist()) == [0, 1, 3]
    alone, _ = late_fusion([ego], config)
    np.testing.assert_array_equal(alone.boxes, ego.boxes)
    nothing, _ = late_fusion([Detections.empty(), Detections.empty()], config)
    assert len(nothing) == 0


def test_voting_draws_a_box_towards_its_doubles():
    ego, peer = cars((10.0, 0.0)), cars((10.4, 0.0), score=0.9)
    plain, _ = late_fusion([ego, peer], DetectionConfig(nms_threshold=0.15))
    voted, _ = late_fusion([ego, peer], DetectionConfig(nms_threshold=0.15, vote_threshold=0.3))
    assert plain.boxes[0, 0] == pytest.approx(10.0)
    assert 10.05 < voted.boxes[0, 0] < 10.35
