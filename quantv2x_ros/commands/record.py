# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`record`: turns a dataset's scenario into a rosbag2 recording."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantv2x_ros.commands._options import AgentNames, Backend, Bundle

if TYPE_CHECKING:
    from quantv2x_ros.data.errors import DatasetError


def command(
    scenario: Annotated[
        Path, typer.Option(help="Folder of a scenario: V2X-Real, OPV2V, or a single frame.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bag to write; it must not exist.")],
    storage: Annotated[str, typer.Option(help="Storage of the bag: mcap or sqlite3.")] = "mcap",
    agents: AgentNames = "all",
    clouds: Annotated[bool, typer.Option(help="Record the sweeps.")] = True,
    truth: Annotated[bool, typer.Option(help="Record the labels.")] = True,
    indices: Annotated[
        bool,
        typer.Option(
            "--indices", help="Encode the sweeps, and record the messages that go on the air."
        ),
    ] = False,
    bundle: Bundle = "",
    backend: Backend = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all cores.")] = 0,
) -> None:
    """Record a scenario as a rosbag2: poses, sweeps, labels, indices; one namespace an agent.

    A damaged file is named, and its agent left out of that frame. The same command goes on where
    an interrupted recording was.
    """
    from quantv2x_ros.data.recording import RecordOptions, record_scenario
    from quantv2x_ros.data.scenario import Scenario
    from quantv2x_ros.environment.progress import counting_progress
    from quantv2x_ros.graph.replay_source import ReplaySource

    source = Scenario.open(scenario, skip_broken=True)
    names = ReplaySource.find(str(scenario), agents).agents
    supplement = None
    if indices:
        from quantv2x_ros.environment.resources import find_bundle
        from quantv2x_ros.evaluation.index_recorder import IndexRecorder
        from quantv2x_ros.inference.model.bundle import ModelBundle

        model = ModelBundle.load(find_bundle(bundle))
        supplement = IndexRecorder(model, names, backend, threads)
    options = RecordOptions(storage, names, clouds, truth)
    with counting_progress() as progress:
        task = progress.add_task("Recording", total=len(source.timestamps))
        say = partial(progress.console.print, markup=False, highlight=False, soft_wrap=True)

        def warn(error: DatasetError) -> None:
            say(f"left out: {error}")

        for error in source.broken:
            warn(error)
        count = record_scenario(
            source, out, options, lambda: progress.advance(task), supplement, warn
        )
    print(f"{count} messages of {len(names)} agents in {out}")
