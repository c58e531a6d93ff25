# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`consistency`: how often honest and lying peers are flagged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from quantv2x_ros.commands._options import Backend, Bundle, Threads


def command(
    data: Annotated[Path, typer.Option(help="Dataset, a split of one, or a scenario.")],
    bundle: Bundle = "",
    mode: Annotated[str, typer.Option(help="Cooperation mode: vc, ic, v2v or i2i.")] = "vc",
    agents: Annotated[
        int, typer.Option(min=2, help="Largest number of agents of a frame, the ego included.")
    ] = 3,
    backend: Backend = "auto",
    threads: Threads = 0,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the lies: wrong poses and invented objects.")
    ] = 0,
    json: Annotated[Path | None, typer.Option(help="JSON file to write the result to.")] = None,
) -> None:
    """Count how often `consistency_check` flags a dataset's peers, honest and lying ones."""
    from rich.progress import Progress

    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.consistency_trial import ConsistencyTrial
    from quantv2x_ros.evaluation.detector import EngineDetector
    from quantv2x_ros.evaluation.evaluation import open_scenarios
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.evaluation.settings import EvaluationConfig
    from quantv2x_ros.inference.model.bundle import ModelBundle

    config = EvaluationConfig(mode=mode, agents=agents)
    model = ModelBundle.load(find_bundle(bundle))
    detector = EngineDetector(model, backend, threads)
    trial = ConsistencyTrial(detector, config, seed)
    with Progress() as bar:
        task = bar.add_task("Comparing", total=None)
        trial.run(
            open_scenarios(data, config),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    result = trial.result()
    if json is not None:
        write_json(json, {**result, "provenance": provenance(model.name, model.version)})
    _print(result)


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"bundle {result['bundle']}, {result['frames']} frames")
    for column in ("peer", "peers", "flagged", "contradicted, median", "frames with false objects"):
        table.add_column(column, justify="left" if column == "peer" else "right")
    for name, kind in result["kinds"].items():
        table.add_row(
            name,
            str(kind["peers"]),
            f"{kind['flagged']:.0%}",
            f"{kind['contradicted']['median']:.0%}",
            f"{kind['false_objects']:.0%}",
        )
    Console(soft_wrap=True).print(table)
