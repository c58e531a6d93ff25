# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`benchmark`: this package and the plain torch FP32 network side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from quantv2x_ros.commands._options import Backend, Bundle, ResultFile, Threads


def command(
    json: ResultFile,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw (.png, .svg, .pdf).")] = None,
    bundle: Bundle = "",
    scenario: Annotated[
        str, typer.Option(help="Folder of a scenario; empty: a simulated crossing.")
    ] = "",
    agents: Annotated[int, typer.Option(min=1, help="Number of agents of the main result.")] = 2,
    max_agents: Annotated[
        int, typer.Option(min=1, help="Largest number of agents: 1 to this are measured.")
    ] = 4,
    points: Annotated[
        int, typer.Option(min=0, help="Number of points of each cloud; 0: as recorded.")
    ] = 60_000,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds; in each, both sides run in turn.")
    ] = 20,
    repeats: Annotated[
        int, typer.Option(min=1, help="Runs of this package for one run of torch.")
    ] = 5,
    threads: Threads = 0,
    isa: Annotated[
        str,
        typer.Option(
            help="Instruction set that both sides are held to: vnni or avx2; empty: none."
        ),
    ] = "",
    torch: Annotated[bool, typer.Option(help="Measure the torch network, too.")] = True,
    scaling: Annotated[
        bool, typer.Option(help="Measure how times grow with agents, points and range.")
    ] = True,
    backend: Backend = "auto",
) -> None:
    """Time every stage, here and in the plain torch network, and how the times grow."""
    from rich.progress import Progress

    from quantv2x_ros.benchmark.processes import run_benchmark
    from quantv2x_ros.benchmark.report import print_result
    from quantv2x_ros.benchmark.settings import BenchmarkSettings
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import write_json

    settings = BenchmarkSettings(
        bundle=str(find_bundle(bundle)),
        scenario=scenario,
        agents=agents,
        max_agents=max(agents, max_agents),
        points=points,
        rounds=rounds,
        repeats=repeats,
        threads=threads or os.cpu_count() or 1,
        isa=isa,
        torch=torch,
        scaling=scaling,
        backend=backend,
    )
    with Progress(transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        result = run_benchmark(
            settings, lambda what, done: bar.update(task, description=what, completed=done)
        )
    model = result["bundle"]
    origin = provenance(model["name"], model["version"], isa)
    write_json(json, {**result, "provenance": origin})
    print_result(result)
    if plot is not None:
        from quantv2x_ros.benchmark.plot import save_plot

        save_plot(result, plot)
