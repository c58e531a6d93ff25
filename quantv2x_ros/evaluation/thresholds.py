# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scores from which a bundle gives boxes of each class, chosen on a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from quantv2x_ros.core.detection.operating_point import (
    OperatingPoint,
    choose_point,
    operating_points,
)
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.evaluation import Evaluation, Progress, open_scenarios
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.model.bundle import ModelBundle

LOWEST = 0.1
"""Lowest threshold that can be chosen."""

OVERLAP = 0.5
"""BEV IoU from which a box is right."""


def choose_thresholds(
    bundle: ModelBundle,
    data: Path,
    precision: float | None = None,
    backend: str = "auto",
    threads: int = 0,
    progress: Progress | None = None,
) -> dict[str, OperatingPoint]:
    """Choose a score threshold for each class, on what the ego finds alone and with its peers.

    Classes that compete in the bundle suppress each other here, too, as on the vehicle.

    Args:
        bundle: The bundle; its own thresholds do not matter.
        data: A dataset that was not trained on.
        precision: Share of boxes that shall be right; `None`, or where none reaches it: the
            threshold with the best F1.
        backend: Of the engines: `auto`, `openvino` or `tensorrt`.
        threads: Threads of a CPU engine; 0: one a core.
        progress: Called with the number of frames done and of all, for each of the two passes.

    Returns:
        Class → what its threshold gives.

    Raises:
        DatasetError: For damaged data.
        EvaluationError: For a class without an object.
    """
    detector = EngineDetector(bundle.with_score_threshold(LOWEST), backend, threads)
    metrics = []
    for alone in (True, False):
        config = EvaluationConfig(ego_only=alone)
        evaluation = Evaluation(detector, config)
        evaluation.run(open_scenarios(data, config), progress)
        metrics.append(evaluation.scores.metric)
    chosen = {}
    for name in bundle.classes:
        scores, hits, counts = zip(*(each.rated(name, OVERLAP) for each in metrics), strict=True)
        points = operating_points(np.concatenate(scores), np.concatenate(hits), sum(counts), LOWEST)
        chosen[name] = choose_point(points, precision)
    return chosen


def install_thresholds(folder: Path, points: Mapping[str, OperatingPoint]) -> ModelBundle:
    """Write thresholds into a bundle's manifest; the codebook id stays. Returns the bundle.

    Args:
        folder: The bundle.
        points: Class → what was chosen, for each of the bundle's classes.

    Raises:
        BundleError: For a damaged bundle.
    """
    bundle = ModelBundle.load(folder)
    thresholds = tuple(points[name].threshold for name in bundle.classes)
    detection = replace(bundle.detection, class_thresholds=thresholds)
    return bundle.rewritten(replace(bundle.manifest, detection=detection))
