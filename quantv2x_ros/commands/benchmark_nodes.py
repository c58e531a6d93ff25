# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`benchmark-nodes`: latencies and rate of the running nodes."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from quantv2x_ros.commands._options import Backend, Bundle, ResultFile, Threads


def command(
    json: ResultFile,
    bundle: Bundle = "",
    scenario: Annotated[
        str, typer.Option(help="Folder of a scenario; empty: a simulated crossing.")
    ] = "",
    agents: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of agents, the ego included; 2, or 1 with --encoder-only."
        ),
    ] = None,
    backend: Backend = "auto",
    threads: Threads = 0,
    rate: Annotated[
        list[float] | None,
        typer.Option(
            help="Speed of the replay; 1, the default, is 10 sweeps a second. Given several times:"
            " one run for each."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of each run, seconds.")] = 40.0,
    isa: Annotated[
        str,
        typer.Option(
            help="Instruction set that the engines are held to: vnni or avx2; empty: none."
        ),
    ] = "",
    encoder_only: Annotated[
        bool,
        typer.Option(
            "--encoder-only", help="Run an encoder alone, as on a roadside unit, without peers."
        ),
    ] = False,
) -> None:
    """Measure rate and latencies of an agent's running nodes, as another node sees them."""
    from quantv2x_ros.environment.workspace import enter_workspace

    enter_workspace()  # the messages' types
    from rich.progress import Progress

    from quantv2x_ros.benchmark.nodes import NodeBenchmarkSettings, measure_nodes
    from quantv2x_ros.benchmark.report import print_nodes
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import write_json

    cores = threads or os.cpu_count() or 1
    folder = str(find_bundle(bundle))
    settings = NodeBenchmarkSettings(
        folder,
        scenario,
        agents or (1 if encoder_only else 2),
        backend,
        cores,
        tuple(rate or (1.0,)),
        seconds,
        encoder_only=encoder_only,
        isa=isa,
    )
    with Progress(transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        found = measure_nodes(
            settings, lambda what, done: bar.update(task, description=what, completed=done)
        )
    model = found["bundle"]
    origin = provenance(model["name"], model["version"], isa)
    write_json(json, {**found, "provenance": origin})
    print_nodes(found)
