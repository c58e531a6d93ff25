# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the maps of the heads to boxes, and average precision."""

from quantv2x_ros.core.detection.anchors import AnchorClass, AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig, DetectionError, Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision, Breakdown, EvaluationError
from quantv2x_ros.core.detection.headings import FrontsTold
from quantv2x_ros.core.detection.matching import ClassMatches, FrameScore
from quantv2x_ros.core.detection.operating_point import OperatingPoint

__all__ = [
    "AnchorClass",
    "AnchorSet",
    "AveragePrecision",
    "Breakdown",
    "ClassMatches",
    "DetectionConfig",
    "DetectionError",
    "Detections",
    "EvaluationError",
    "FrameScore",
    "FrontsTold",
    "OperatingPoint",
]
