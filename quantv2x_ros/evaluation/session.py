# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the command `evaluate` does: one pass over the data, and the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantv2x_ros.evaluation.evaluation import Evaluation, Progress, open_scenarios
from quantv2x_ros.evaluation.series import (
    STEPS,
    alone_variants,
    make_variants,
    parse_sweeps,
)
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError
from quantv2x_ros.evaluation.settings_file import Measure
from quantv2x_ros.inference.protocol import Detector


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        data: A dataset, a split of one, or a scenario.
        config: The base settings.
        sweeps: Names of the sweeps.
        streaming_ms: Latencies of streaming AP; `None` is the measured one.
        report: Folder for tables, plots and pictures; `None` for none.
        compare: Results of other evaluations by name, for the rate-accuracy table.
        worst: Pictures of the worst frames.
        tracking: Whether it is measured how objects are followed.
    """

    data: Path
    config: EvaluationConfig
    sweeps: tuple[str, ...] = ()
    streaming_ms: tuple[float | None, ...] = ()
    report: Path | None = None
    compare: tuple[tuple[str, dict[str, Any]], ...] = ()
    worst: int = 4
    tracking: bool = False

    @classmethod
    def parse(
        cls,
        data: Path,
        config: EvaluationConfig,
        measure: Measure,
        sweep: str,
        report: Path | None,
        compare: Sequence[Path],
    ) -> Request:
        """Read the command's texts; a report asks for all that is not said.

        Raises:
            EvaluationSettingError: For a sweep or file that makes no sense.
        """
        sweeps = parse_sweeps(sweep or ("all" if report is not None else ""))
        latencies = measure.latencies_ms
        if report is not None and not latencies:
            latencies = (None, *STEPS["latency_ms"])
        others = tuple((path.stem, read_result(path)) for path in compare)
        tracking = measure.tracking or report is not None
        return cls(data, config, sweeps, latencies, report, others, measure.worst, tracking)


def read_result(path: Path) -> dict[str, Any]:
    """Read the JSON of another evaluation.

    Raises:
        EvaluationSettingError: If it is none.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvaluationSettingError(f"{path} is not JSON: {error}") from error
    if not isinstance(result, dict) or not {"mAP", "AP", "bytes_per_frame"} <= set(result):
        raise EvaluationSettingError(
            f"{path} is no result of `evaluate`: it has no mAP, AP and bytes_per_frame"
        )
    return result


def run(detector: Detector, request: Request, progress: Progress | None = None) -> dict[str, Any]:
    """Evaluate, and write the report if one is asked for.

    Returns:
        See `Evaluation.result`; with `notes` on what could not be measured.

    Raises:
        DatasetError: If the dataset is damaged, or holds no scenario.
    """
    scenarios = open_scenarios(request.data, request.config)
    longest = max(len(scenario.timestamps) for scenario in scenarios)
    config = request.config.resolved(detector.bundle.max_agents, detector.sends_features)
    variants, notes = make_variants(
        config, request.sweeps, longest, detector.bundle.codebook.levels
    )
    if request.report is not None and not config.ego_only:
        variants += alone_variants(config, variants)
    evaluation = Evaluation(
        detector, config, variants, request.streaming_ms, True, request.tracking
    )
    evaluation.run(scenarios, progress)
    result = evaluation.result()
    absent = [name for name, count in result["objects"].items() if not count]
    if absent:
        notes.append(f"no object of class {', '.join(absent)}: not in the mean")
    notes += [str(error) for error in evaluation.empty]
    result["notes"] = notes
    if request.report is not None:
        # draws with matplotlib, which a plain evaluation does without
        from quantv2x_ros.evaluation.report_folder import write_report

        write_report(request.report, result, evaluation, request.compare, request.worst)
    return result
