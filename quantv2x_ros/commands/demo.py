# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`demo`: plays a scene through the real nodes and shows what cooperation finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantv2x_ros.commands._options import AgentNames, Backend, Bundle

if TYPE_CHECKING:
    from rich.console import Console

Scenario = Annotated[
    str, typer.Option(help="V2X-Real or OPV2V scenario, or rosbag2; empty: a simulated scene.")
]
Threads = Annotated[
    int,
    typer.Option(min=0, help="Number of CPU threads of each engine; 0: the nodes share all cores."),
]
Rate = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=100.0,
        help="Speed against real time (10 Hz); with --pace results the highest speed.",
    ),
]
Pace = Annotated[
    str,
    typer.Option(
        help="When the next sweep leaves. results: once the last boxes are out; real_time: by"
        " the clock, whatever the computer can keep up with."
    ),
]
Seconds = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Longest time to watch, seconds; 0: the scene, or 40 frames on a slow computer.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for picture, animation and the nodes' log.")]
Record = Annotated[
    Path | None,
    typer.Option(help="Folder of a new rosbag2 (mcap) that the topics are recorded into."),
]
Pictures = Annotated[bool, typer.Option(help="Draw the picture and the animation.")]
Viewer = Annotated[
    bool, typer.Option("--viewer", help="Serve the live scene to browsers on this machine.")
]
ViewerPort = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of that page; 0: any free one.")
]
LogLevel = Annotated[str, typer.Option(help="Level of the nodes' log.")]
ValuesFile = Annotated[Path | None, typer.Option(help="JSON file for the measured values.")]


def command(
    scenario: Scenario = "",
    agents: AgentNames = "2",
    bundle: Bundle = "",
    backend: Backend = "auto",
    threads: Threads = 0,
    rate: Rate = 1.0,
    pace: Pace = "results",
    seconds: Seconds = 0.0,
    out: Out = Path("demo_output"),
    record: Record = None,
    pictures: Pictures = True,
    viewer: Viewer = False,
    viewer_port: ViewerPort = 8080,
    log_level: LogLevel = "info",
    json: ValuesFile = None,
) -> None:
    """Play a scene through the real nodes in processes of their own, and watch it live."""
    from quantv2x_ros.environment.workspace import enter_workspace

    enter_workspace()
    from rich.console import Console

    from quantv2x_ros.demo.run import DemoSettings, run_demo
    from quantv2x_ros.environment.interruption import until_interrupted
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.graph.settings import GraphSettings

    console = Console()
    graph = GraphSettings(
        bundle=bundle,
        backend=backend,
        replay=scenario,
        agents=agents,
        rate=rate,
        pace=pace,
        threads=threads,
        viewer=viewer,
        viewer_port=viewer_port,
        log_level=log_level,
    )
    if viewer and viewer_port:
        console.print(f"Open http://127.0.0.1:{viewer_port} in a browser.")
    summary = None
    with until_interrupted():
        summary = run_demo(DemoSettings(graph, seconds, out, record, pictures), console)
    if summary is None:
        console.print("Interrupted; all nodes have ended.")
        return
    if json is not None:
        write_json(json, summary)
    _tell(summary, console)


def _tell(summary: dict[str, Any], console: Console) -> None:
    """Print what was played, and what cooperation has found."""
    sent = ", ".join(f"{name}: {size:,.0f}" for name, size in summary["bytes_per_frame"].items())
    console.print(
        f"{summary['frames']} frames at {summary['hz']:.1f} Hz; the sensor's is "
        f"{summary['sensor_hz']:g}. {summary['frames_with_all']} of them with all agents. "
        f"Bytes a frame: {sent}",
        soft_wrap=True,
    )
    if "picture" in summary:
        console.print(
            f"In {summary['frames_in_animation']} frames with {summary['objects_labelled']} "
            f"labelled objects the ego alone finds {summary['found_alone']}, with its peers "
            f"{summary['found_together']}.\n{summary['picture']}\n{summary['animation']}",
            soft_wrap=True,
        )
