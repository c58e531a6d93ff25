# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fronts told from backs."""

import math

import numpy as np

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.core.detection.headings import FrontsTold


def test_boxes_of_found_objects_are_counted_by_where_their_fronts_are():
    truth = np.array([[x, 0.0, 0.0, 4.0, 2.0, 1.5, 0.1] for x in (0, 20, 40, 60)], np.float32)
    boxes = truth.copy()
    boxes[:, 6] += [0.05, math.pi, 2 * math.pi - 0.1, 0.0]
    boxes[3, 0] += 30.0
    metric = AveragePrecision(("vehicle", "truck"))
    detections = Detections(boxes, np.full(4, 0.9, np.float32), np.ones(4, np.int32))
    matches = metric.match(detections, truth, np.ones(4, np.int64))
    fronts = FrontsTold(metric.classes, 1)
    fronts.add(matches, boxes, truth)
    result = fronts.compute()
    assert result["vehicle"] == 2 / 3
    assert math.isnan(result["truck"])
