# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`flood`: what an attacker with many messages costs a running ego."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    replay: Annotated[
        str, typer.Option(help="Scenario or bag; empty: a simulated scene, in a loop.")
    ] = "",
    indices: Annotated[
        bool, typer.Option("--indices", help="Play the bag's indices: no encoders run.")
    ] = False,
    agents: Annotated[str, typer.Option(help="all, a number, or names, the ego first.")] = "2",
    bundle: Annotated[str, typer.Option(help="Model bundle; empty: the default.")] = "",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of each engine.")] = 0,
    speed: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="Of the replay against real time (10 Hz).")
    ] = 1.0,
    kind: Annotated[
        str,
        typer.Option(
            help="strangers: ever new stations, no codebook; copies: well-formed sweeps in the"
            " names of 30 invented stations; newcomers: the same in ever new names; echoes: the"
            " true stations' messages again, and garbage in their names."
        ),
    ] = "strangers",
    rate: Annotated[float, typer.Option(min=1.0, help="Messages a second.")] = 10_000.0,
    niceness: Annotated[
        int, typer.Option(min=0, max=19, help="Of the attacker, who runs on this machine, too.")
    ] = 19,
    window: Annotated[float, typer.Option(min=2.0, help="Length of a phase, seconds.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Quiet, unheard and attack: how often.")] = 5,
    log: Annotated[Path, typer.Option(help="File for what the nodes print.")] = Path("flood.log"),
    json: Annotated[Path | None, typer.Option(help="File for the report.")] = None,
) -> None:
    """Measure the fusion rate with and without an attacker; phases take turns."""
    from quantv2x_ros.environment.workspace import enter_workspace

    enter_workspace()
    from rich.console import Console

    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.graph.settings import GraphSettings
    from quantv2x_ros.inference.model.bundle import ModelBundle
    from quantv2x_ros.soak.flood import FloodSettings, run_flood

    console = Console()
    model = ModelBundle.load(find_bundle(bundle))
    graph = GraphSettings(
        bundle=bundle,
        replay=replay,
        indices=indices,
        agents=agents,
        rate=speed,
        loop=True,
        threads=threads,
    )
    settings = FloodSettings(graph, kind, rate, niceness, window, rounds, log)
    result = run_flood(settings, console.print)
    console.print_json(data=result)
    if json is not None:
        write_json(json, {**result, "provenance": provenance(model.name, model.version)})
