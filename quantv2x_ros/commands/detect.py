# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`detect`: one frame of a dataset, or a single cloud, without ROS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from quantv2x_ros.commands._options import (
    Backend,
    Bundle,
    CloudMount,
    CloudScale,
    Level,
    ResultFile,
    Threads,
)

ScoreThreshold = Annotated[
    float | None,
    typer.Option(
        help="Score below which objects of any class are left out; by default the bundle's"
        " threshold of each class."
    ),
]


def command(
    json: ResultFile,
    scenario: Annotated[
        Path | None,
        typer.Option(help="Folder of a scenario: V2X-Real, OPV2V, or a single frame."),
    ] = None,
    cloud: Annotated[
        Path | None,
        typer.Option(
            help="File of a single cloud of a vehicle, .pcd or .bin, instead of a scenario."
        ),
    ] = None,
    timestamp: Annotated[
        str, typer.Option(help="Timestamp of the frame; empty: the scenario's first.")
    ] = "",
    ego: Annotated[str, typer.Option(help="Name of the ego; empty: the first agent.")] = "",
    agents: Annotated[
        str, typer.Option(help="Agents that take part: all, or names separated by commas.")
    ] = "all",
    bundle: Bundle = "",
    backend: Backend = "auto",
    threads: Threads = 0,
    score_threshold: ScoreThreshold = None,
    level: Level = True,
    cloud_mount: CloudMount = "",
    cloud_scale: CloudScale = 1.0,
    picture: Annotated[
        Path | None,
        typer.Option(help="PNG file for a picture: the ego alone beside the cooperation."),
    ] = None,
) -> None:
    """Detect objects in one frame: boxes in the frame of the ego's cloud, metres and radians."""
    if (scenario is None) == (cloud is None):
        raise typer.BadParameter("give either --scenario or --cloud")

    from quantv2x_ros.core.placement.cloud_placement import parse_placement
    from quantv2x_ros.data.errors import DatasetError
    from quantv2x_ros.data.frame import read_cloud
    from quantv2x_ros.data.scenario import Scenario
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation import detect as offline
    from quantv2x_ros.evaluation.agent_grids import AgentGrids
    from quantv2x_ros.evaluation.detect import cloud_note
    from quantv2x_ros.evaluation.detector import EngineDetector
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.inference.model.bundle import ModelBundle

    model = ModelBundle.load(find_bundle(bundle))
    if score_threshold is not None:
        model = model.with_score_threshold(score_threshold)
    placement = parse_placement(cloud_mount, cloud_scale)
    moment, notes = "", {}
    broken: list[DatasetError] = []
    if scenario is not None:
        source = Scenario.open(scenario, skip_broken=True)
        frame, broken = offline.read_frame(source, timestamp, ego)
        chosen = offline.choose_agents(frame, ego or None, agents, model.max_agents)
        frame = frame.placed(placement)
        for name in chosen:
            notes[name] = cloud_note(frame[name].points, model.grid.lidar_range, placement)
        frame = AgentGrids(model, level=level).lay(frame, chosen)
        given, moment = offline.frame_input(frame, chosen), frame.timestamp
        heading = f"{source.folder.name} {moment}"
        if agents.strip() == "all" and len(chosen) < len(frame.agents):
            left = ", ".join(name for name in frame.agents if name not in chosen)
            print(f"note: the bundle fuses {model.max_agents} agents; left out: {left}")
    elif cloud is not None:
        heights = model.sensor_heights if level else None
        given, heading = offline.cloud_input(cloud, heights, placement), cloud.name
        points = read_cloud(cloud, infrastructure=False, placement=placement)
        notes[given.ego] = cloud_note(points, model.grid.lidar_range, placement)
    detector = EngineDetector(model, backend, threads)
    outcome = offline.detect(detector, given)
    report = offline.as_report(given, outcome, model.classes)
    left_out = [str(error) for error in broken]
    notes = {name: text for name, text in notes.items() if text}
    further = {"timestamp": moment, "bundle": model.name, "left_out": left_out, "notes": notes}
    write_json(json, {**report, **further})
    for name, text in notes.items():
        print(f"note: agent {name}: {text}")
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    total = sum(outcome.stage_ms.values())
    print(f"{len(outcome.detections)} objects seen by {len(given.clouds)} agents in {total:.0f} ms")
    if picture is not None:
        offline.draw(picture, detector, given, outcome, heading)
