# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector over a dataset with one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario, find_scenarios
from quantv2x_ros.evaluation.evaluation import SKIP_HINT, Evaluation, Progress
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.protocol import Detector


def open_scenarios(data: str | Path, config: EvaluationConfig) -> list[Scenario]:
    """Open all scenarios of a dataset.

    Raises:
        DatasetError: If there is none, or a file lacks its counterpart (unless those are skipped).
    """
    folders = find_scenarios(data)
    try:
        return [Scenario.open(folder, skip_broken=config.skip_broken) for folder in folders]
    except DatasetError as error:
        raise error.with_hint(SKIP_HINT) from error


def evaluate(
    detector: Detector,
    data: str | Path,
    config: EvaluationConfig,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a detector on a dataset with one setting; see `Evaluation`."""
    evaluation = Evaluation(detector, config)
    evaluation.run(open_scenarios(data, config), progress)
    return evaluation.result()
