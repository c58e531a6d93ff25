# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`doctor`: finds what is wrong with a machine, a running graph or a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from quantv2x_ros.doctor.findings import Finding


def command(
    data: Annotated[
        Path | None,
        typer.Option(help="Dataset to examine: what is broken, file by file, and what it holds."),
    ] = None,
    clouds: Annotated[
        bool, typer.Option(help="Read the dataset's clouds, too, not only its labels.")
    ] = True,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics",
            help="Print what the dataset's clouds and labels are like instead: density, clutter, "
            "ground, sizes.",
        ),
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Examine the nodes that run in this ROS_DOMAIN_ID.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=600.0, help="Time to listen to the graph, seconds.")
    ] = 6.0,
    bundle: Annotated[
        str, typer.Option(help="Model bundle: a folder or a name in engines/; empty: the default.")
    ] = "",
    json: Annotated[Path | None, typer.Option(help="JSON file to write the findings to.")] = None,
) -> None:
    """Examine this machine, or a running graph, or a dataset; exit code 1 if anything is broken."""
    from quantv2x_ros.evaluation.report import write_json

    if statistics:
        if data is None:
            raise typer.BadParameter(
                "it is of a dataset: give --data DIR", param_hint="--statistics"
            )
        _measure_data(data, json)
        return
    if data is not None:
        _examine_data(data, clouds, json)
        return
    from quantv2x_ros.environment.workspace import WorkspaceError, enter_workspace

    try:
        enter_workspace()
    except WorkspaceError:
        if graph:
            raise  # of the machine, it is the first finding
    from quantv2x_ros.doctor.findings import as_dict, has_errors, print_findings

    findings = _examine_graph(seconds) if graph else _examine_machine(bundle)
    print_findings(findings)
    if json is not None:
        write_json(json, as_dict(findings))
    if has_errors(findings):
        raise typer.Exit(1)


def _examine_machine(bundle: str) -> list[Finding]:
    from quantv2x_ros.doctor.machine import examine_machine

    return examine_machine(bundle)


def _examine_graph(seconds: float) -> list[Finding]:
    from rich.progress import Progress

    from quantv2x_ros.doctor.graph import judge
    from quantv2x_ros.doctor.graph_probe import observe

    with Progress(transient=True) as progress:
        task = progress.add_task("Listening", total=1.0)
        return judge(observe(seconds, lambda share: progress.update(task, completed=share)))


def _examine_data(data: Path, clouds: bool, json: Path | None) -> None:
    from quantv2x_ros.doctor.dataset_doctor import examine_dataset, print_census
    from quantv2x_ros.environment.progress import counted
    from quantv2x_ros.evaluation.report import write_json

    with counted("Reading") as progress:
        census = examine_dataset(data, clouds=clouds, progress=progress)
    if json is not None:
        write_json(json, census.as_dict())
    print_census(census)
    if census.broken:
        raise typer.Exit(1)


def _measure_data(data: Path, json: Path | None) -> None:
    from quantv2x_ros.doctor.dataset_statistics import gather_statistics, print_statistics
    from quantv2x_ros.environment.progress import counted
    from quantv2x_ros.evaluation.report import write_json

    with counted("Measuring") as progress:
        found = gather_statistics(data, progress=progress)
    if json is not None:
        write_json(json, found.as_dict())
    print_statistics(found)
    if found.left_out:
        raise typer.Exit(1)
