# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`record`: turns a dataset's scenario into a rosbag2 recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    scenario: Annotated[
        Path, typer.Option(help="Folder of a scenario: V2X-Real, OPV2V, or a single frame.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bag to write; it must not exist.")],
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
) -> None:
    """Record a scenario's sweeps and poses as a rosbag2, one namespace an agent."""
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from quantv2x_ros.data.recording import record_scenario
    from quantv2x_ros.data.scenario import Scenario

    source = Scenario.open(scenario)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("Recording", total=len(source.timestamps))
        count = record_scenario(source, out, storage, lambda: progress.advance(task))
    print(f"{count} messages of {len(source.agents)} agents in {out}")
