# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`demo`: plays a scene through the real nodes and shows what cooperation finds."""

from __future__ import annotations

import os
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
    int, typer.Option(min=0, help="CPU threads of each engine; 0: the cores, shared by the nodes.")
]
Rate = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=100.0,
        help="Speed against real time (10 Hz); 0: 1.0, or what all agents' nodes together can"
        " keep up with on this machine if it has fewer than four cores.",
    ),
]
Seconds = Annotated[
    float, typer.Option(min=0.0, help="Longest time to watch; 0: the whole scene, once.")
]
Out = Annotated[Path, typer.Option(help="Folder for picture, animation and the nodes' log.")]
Record = Annotated[
    Path | None, typer.Option(help="Record the topics into this new rosbag2 (mcap).")
]
Pictures = Annotated[bool, typer.Option(help="Draw the picture and the animation.")]
Viewer = Annotated[
    bool, typer.Option("--viewer", help="Serve the live scene to browsers on this machine.")
]
ViewerPort = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of that page; 0: any free one.")
]
LogLevel = Annotated[str, typer.Option(help="Of the nodes' log.")]
ValuesFile = Annotated[Path | None, typer.Option(help="File for the measured values.")]


def sustainable_rate(cores: int) -> float:
    """Return the speed at which ego and peer, which here share one computer, miss no sweep.

    Args:
        cores: of the machine.
    """
    return 1.0 if cores >= 4 else 0.3 * cores


def command(
    scenario: Scenario = "",
    agents: AgentNames = "2",
    bundle: Bundle = "",
    backend: Backend = "auto",
    threads: Threads = 0,
    rate: Rate = 0.0,
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
    from quantv2x_ros.demo.environment import enter_workspace

    enter_workspace()
    from rich.console import Console

    from quantv2x_ros.demo.run import DemoSettings, run_demo, until_interrupted
    from quantv2x_ros.graph_settings import GraphSettings
    from quantv2x_ros.offline.report import write_json

    console = Console()
    graph = GraphSettings(
        bundle=bundle,
        backend=backend,
        replay=scenario,
        agents=agents,
        rate=rate or sustainable_rate(os.cpu_count() or 1),
        threads=threads,
        viewer=viewer,
        viewer_port=viewer_port,
        log_level=log_level,
    )
    if viewer and viewer_port:
        console.print(f"Open http://127.0.0.1:{viewer_port} in a browser.")
    if graph.rate < 1.0:
        console.print(f"Playing at {graph.rate:g} of real time (--rate).")
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
        f"{summary['frames']} frames at {summary['rate_hz']:.1f} Hz; bytes a frame: {sent}",
        soft_wrap=True,
    )
    if "picture" in summary:
        console.print(
            f"In {summary['compared_frames']} frames with {summary['objects_labelled']} labelled "
            f"objects the ego alone finds {summary['found_alone']}, with its peers "
            f"{summary['found_together']}.\n{summary['picture']}\n{summary['animation']}",
            soft_wrap=True,
        )
