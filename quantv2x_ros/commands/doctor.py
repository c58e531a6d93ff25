# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`doctor`: says what is wrong before it costs a day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[
        Path | None,
        typer.Option(help="Look through a dataset: what is broken, file by file, and what is in."),
    ] = None,
    clouds: Annotated[
        bool, typer.Option(help="Read the dataset's clouds, too; without: labels only.")
    ] = True,
    json: Annotated[Path | None, typer.Option(help="File to write the findings to.")] = None,
) -> None:
    """Look for what is missing or broken; the exit code is 1 if anything is."""
    if data is None:
        raise typer.BadParameter("say what to look at: --data DIR")

    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from quantv2x_ros.offline.dataset_doctor import examine_dataset
    from quantv2x_ros.offline.dataset_report import print_census
    from quantv2x_ros.offline.report import write_json

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("Reading", total=None)
        census = examine_dataset(
            data,
            clouds=clouds,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json is not None:
        write_json(json, census.as_dict())
    print_census(census)
    if census.broken:
        raise typer.Exit(1)
