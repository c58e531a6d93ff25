# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`flood`: what an attacker with many messages costs a running ego."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    replay: Annotated[
        str, typer.Option(help="Scenario or bag, played in a loop; empty: a simulated scene.")
    ] = "",
    indices: Annotated[
        bool, typer.Option("--indices", help="Play the bag's indices, without encoders.")
    ] = False,
    agents: Annotated[
        str,
        typer.Option(help="Agents: all, a number, or names separated by commas, the ego first."),
    ] = "2",
    bundle: Annotated[str, typer.Option(help="Model bundle; empty: the default.")] = "",
    threads: Annotated[
        int, typer.Option(min=0, help="Number of CPU threads of each engine; 0: one for each core.")
    ] = 0,
    speed: Annotated[
        float,
        typer.Option(min=0.01, max=100.0, help="Speed of the replay against real time (10 Hz)."),
    ] = 1.0,
    kind: Annotated[
        str,
        typer.Option(
            help="Kind of attack. strangers: messages of ever new stations, with no codebook;"
            " copies: well-formed sweeps of 30 invented stations; newcomers: the same of ever new"
            " stations; echoes: the true stations' messages again, and garbage in their names."
        ),
    ] = "strangers",
    rate: Annotated[
        float, typer.Option(min=1.0, help="Messages of the attacker a second.")
    ] = 10_000.0,
    niceness: Annotated[
        int,
        typer.Option(
            min=0,
            max=19,
            help="Niceness of the attacker's process, which runs on this machine, too.",
        ),
    ] = 19,
    window: Annotated[float, typer.Option(min=2.0, help="Length of each phase, seconds.")] = 10.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds of the phases quiet, unheard and attack.")
    ] = 5,
    log: Annotated[Path, typer.Option(help="File for the output of the nodes.")] = Path(
        "flood.log"
    ),
    json: Annotated[Path | None, typer.Option(help="JSON file to write the report to.")] = None,
) -> None:
    """Measure the ego's fusion rate and load with and without an attacker, in turn."""
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
