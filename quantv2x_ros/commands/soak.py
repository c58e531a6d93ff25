# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`soak`: runs the nodes for long over a bad channel, with peers that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    scenario: Annotated[
        str, typer.Option(help="V2X-Real or OPV2V scenario; empty: a simulated scene.")
    ] = "",
    agents: Annotated[
        str,
        typer.Option(help="Agents: all, a number, or names separated by commas, the ego first."),
    ] = "3",
    bundle: Annotated[str, typer.Option(help="Model bundle; empty: the default.")] = "",
    threads: Annotated[
        int, typer.Option(min=0, help="Number of CPU threads of each engine; 0: one for each core.")
    ] = 0,
    rate: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="Speed against real time (10 Hz).")
    ] = 1.0,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Length of the run from the first result, seconds.")
    ] = 1800,
    warm_up: Annotated[
        float, typer.Option(min=0.0, help="Time at the start that is not judged, seconds.")
    ] = 60.0,
    absence: Annotated[
        float,
        typer.Option(
            min=0.0, help="Time for which each peer is away in its turn, seconds; 0: never."
        ),
    ] = 15.0,
    longest_gap: Annotated[
        float, typer.Option(min=0.0, help="Longest time allowed between two results, seconds.")
    ] = 0.5,
    loss: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Probability that the channel loses a packet.")
    ] = 0.2,
    delay_ms: Annotated[
        float, typer.Option(min=0.0, help="Mean delay of the channel, milliseconds.")
    ] = 20.0,
    jitter_ms: Annotated[
        float, typer.Option(min=0.0, help="Standard deviation of that delay, milliseconds.")
    ] = 8.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the channel.")] = 0,
    log: Annotated[Path, typer.Option(help="File for the output of the nodes.")] = Path("soak.log"),
    json: Annotated[Path | None, typer.Option(help="JSON file to write the report to.")] = None,
) -> None:
    """Run ego, peers and channel for long; report memory, gaps and drops by reason."""
    from quantv2x_ros.environment.workspace import enter_workspace

    enter_workspace()
    from rich.console import Console

    from quantv2x_ros.core.channel.channel_model import ChannelSettings
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.graph.settings import GraphSettings
    from quantv2x_ros.inference.model.bundle import ModelBundle
    from quantv2x_ros.soak.run import SoakSettings, run_soak

    console = Console()
    model = ModelBundle.load(find_bundle(bundle))
    settings = SoakSettings(
        GraphSettings(bundle=bundle, replay=scenario, agents=agents, rate=rate, threads=threads),
        ChannelSettings(delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss),
        seed,
        seconds,
        warm_up,
        absence,
        longest_gap,
        log,
    )
    result = run_soak(settings, console.print)
    console.print_json(data=result)
    if json is not None:
        write_json(json, {**result, "provenance": provenance(model.name, model.version)})
