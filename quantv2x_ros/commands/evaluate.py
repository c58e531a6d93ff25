# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: average precision of a bundle over a dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from quantv2x_ros.commands._options import Backend, Bundle, ResultFile, Threads

Data = Annotated[Path, typer.Option(help="A dataset, one of its splits, or a scenario.")]
Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML with who cooperates, what is sent, over what link, and what the receiver does;"
        " config/evaluation.yaml has all settings. Without it: what the nodes do by default."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting after the file's: link.loss=0.1; repeatable."),
]
EgoOnly = Annotated[
    bool, typer.Option("--ego-only", help="Fuse nothing; the truth stays that of all agents.")
]
MaxFrames = Annotated[
    int, typer.Option(min=0, help="Only so many frames, spread over the data; 0: all.")
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave damaged files out, and name them.")
]
Precision = Annotated[
    str,
    typer.Option(
        help="int8, fp32 (the torch network) or uncoded (the same on features without a codebook);"
        " empty: that of the bundle's engines."
    ),
]
Sweep = Annotated[
    str,
    typer.Option(
        help="Measure a whole curve: agents, latency_ms, latency_ms_uncompensated, pose_noise,"
        " heading_noise, pose_error, pose_error_aligned, loss, loss_holes, burst_loss, stations,"
        " levels, min_occupancy, interest_range, interest_of_receivers, max_bytes, radio; radio,"
        " loss, latency_ms and pose_error also with _late for boxes or _hybrid for both (several by"
        " commas); link (all of bytes and losses), all or none."
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        help="Folder for a Markdown table, plots and pictures of the worst frames; implies"
        " breakdowns, the ego alone, all sweeps and streaming AP unless told otherwise."
    ),
]
Compare = Annotated[
    list[Path] | None,
    typer.Option(help="JSON of another evaluation, for the rate-accuracy table; repeatable."),
]


def command(
    data: Data,
    json: ResultFile,
    bundle: Bundle = "",
    precision: Precision = "",
    config: Config = None,
    set_: Set = None,
    ego_only: EgoOnly = False,
    max_frames: MaxFrames = 0,
    skip_broken: SkipBroken = False,
    sweep: Sweep = "",
    report: Report = None,
    compare: Compare = None,
    backend: Backend = "auto",
    threads: Threads = 0,
) -> None:
    """Evaluate on a dataset: AP by class at BEV IoU 0.3, 0.5 and 0.7, and bytes a message."""
    from quantv2x_ros.commands._detectors import open_detector
    from quantv2x_ros.environment.progress import counted
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import print_precision, write_json
    from quantv2x_ros.evaluation.session import Request, run
    from quantv2x_ros.evaluation.settings_file import read_settings

    settings, measure = read_settings(config, set_ or ())
    settings = replace(
        settings,
        ego_only=ego_only or settings.ego_only,
        max_frames=max_frames or settings.max_frames,
        skip_broken=skip_broken or settings.skip_broken,
    )
    request = Request.parse(data, settings, measure, sweep, report, compare or ())
    detector = open_detector(
        find_bundle(bundle), precision, backend, threads, measure.score_threshold
    )
    with counted("Evaluating") as progress:
        result = run(detector, request, progress)
    result["provenance"] = provenance(detector.bundle.name, detector.bundle.version)
    write_json(json, result)
    if report is not None:
        write_json(report / "result.json", result)
    print_precision(result)
