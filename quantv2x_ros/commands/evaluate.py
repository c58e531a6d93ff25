# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: average precision of a bundle over a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[Path, typer.Option(help="A dataset, one of its splits, or a scenario.")],
    json: Annotated[Path, typer.Option(help="File to write the result to.")],
    bundle: Annotated[
        str, typer.Option(help="Model bundle: a folder or a name in engines/; empty: the default.")
    ] = "",
    precision: Annotated[
        str,
        typer.Option(help="int8 or fp32 (the torch network); empty: that of the bundle's engines."),
    ] = "",
    backend: Annotated[str, typer.Option(help="auto, openvino or tensorrt.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: one a core.")] = 0,
    agents: Annotated[int, typer.Option(min=1, help="Most agents a frame, ego included.")] = 3,
    ego_only: Annotated[
        bool, typer.Option("--ego-only", help="Fuse nothing; the truth stays that of all agents.")
    ] = False,
    mode: Annotated[str, typer.Option(help="vc, ic, v2v or i2i: who is ego, who is heard.")] = "vc",
    communication_range: Annotated[
        float, typer.Option(min=0.0, help="Agents up to this far from the ego are heard, metres.")
    ] = 70.0,
    protocol: Annotated[
        str, typer.Option(help="global ranks all detections; v2xreal ranks within frames only.")
    ] = "global",
    loss: Annotated[
        float, typer.Option(help="Probability of losing a tile of a peer's message.")
    ] = 0.0,
    max_payload_bytes: Annotated[
        int, typer.Option(min=0, help="Largest tile; 0: a message is lost as a whole.")
    ] = 1398,
    levels: Annotated[
        int, typer.Option(min=0, help="Residual levels that are sent at most; 0: all.")
    ] = 0,
    min_occupancy: Annotated[
        float, typer.Option(help="Cells where an object is less likely than this are not sent.")
    ] = 0.0,
    parity: Annotated[
        float, typer.Option(help="Parity tiles for each tile, against loss; 0: none.")
    ] = 0.0,
    max_bytes: Annotated[
        int, typer.Option(min=0, help="Most bytes of a frame: less is sent; 0: any number.")
    ] = 0,
    interest_range: Annotated[
        float,
        typer.Option(min=0.0, help="Cells further from the sensor are not sent [m]; 0: no limit."),
    ] = 0.0,
    score_threshold: Annotated[
        float, typer.Option(help="Boxes with lower scores are not ranked; 0.2 is the published.")
    ] = 0.2,
    conceal: Annotated[
        float,
        typer.Option(
            min=0.0, help="Lost cells are taken from sweeps up to so long before [s]; 0: holes."
        ),
    ] = 0.3,
    channel: Annotated[
        Path | None,
        typer.Option(
            help="Settings of a channel that all share, instead of loss: a parameter file of the"
            " node 'channel', such as config/channel.yaml."
        ),
    ] = None,
    deadline_ms: Annotated[
        float,
        typer.Option(min=0.0, help="What comes later after a sweep of the ego waits for the next."),
    ] = 50.0,
    latency_ms: Annotated[
        float, typer.Option(help="Age of the peers' messages, rounded to whole frames.")
    ] = 0.0,
    pose_noise: Annotated[
        float, typer.Option(help="Deviation of the peers' positions [m] and headings [degrees].")
    ] = 0.0,
    heading_noise: Annotated[
        float | None, typer.Option(help="Deviation of the headings alone [degrees].")
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Correct peers' poses by the objects that both see.")
    ] = False,
    compensate: Annotated[
        bool,
        typer.Option("--compensate", help="Carry moving objects in peers' late messages on."),
    ] = False,
    sweep: Annotated[
        str,
        typer.Option(
            help="Measure a whole curve: agents, latency_ms, pose_noise, heading_noise, loss,"
            " loss_holes, burst_loss, stations, pose_noise_aligned, levels, min_occupancy,"
            " interest_range, max_bytes (several by commas), link (all of bytes and losses), all"
            " or none."
        ),
    ] = "",
    streaming: Annotated[
        str,
        typer.Option(
            help="Streaming AP: latencies from sweep to boxes in ms by commas, or 'measured'."
        ),
    ] = "",
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a Markdown table, plots and pictures of the worst frames; implies"
            " breakdowns, the ego alone, all sweeps and streaming AP unless told otherwise."
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="JSON of another evaluation, for the rate-accuracy table; repeatable."),
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Pictures of the worst frames.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of losses and noise.")] = 0,
    max_frames: Annotated[
        int, typer.Option(min=0, help="Only so many frames, spread over the data; 0: all.")
    ] = 0,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave damaged files out, and name them.")
    ] = False,
) -> None:
    """Evaluate on a dataset: AP by class at BEV IoU 0.3, 0.5 and 0.7, and bytes a message."""
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from quantv2x_ros.core.frame_sender import SendSettings
    from quantv2x_ros.core.tiles import TileSettings
    from quantv2x_ros.offline.channel_file import read_channel
    from quantv2x_ros.offline.detector import open_detector
    from quantv2x_ros.offline.report import print_precision, write_json
    from quantv2x_ros.offline.session import Request, run
    from quantv2x_ros.offline.settings import EvaluationConfig, Link, Sending
    from quantv2x_ros.resources import find_bundle

    how = SendSettings(TileSettings(max_payload_bytes), levels, min_occupancy, parity)
    link = Link(
        loss,
        latency_ms,
        pose_noise,
        heading_noise,
        Sending(how, max_bytes, interest_range),
        seed,
        conceal,
        None if channel is None else read_channel(channel),
        deadline_ms,
    )
    config = EvaluationConfig(
        agents,
        ego_only,
        mode,
        protocol,
        link,
        max_frames,
        communication_range,
        skip_broken,
        align,
        compensate,
    )
    request = Request.parse(data, config, sweep, streaming, report, compare or (), worst)
    detector = open_detector(find_bundle(bundle), precision, backend, threads, score_threshold)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("Evaluating", total=None)
        result = run(
            detector,
            request,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    write_json(json, result)
    print_precision(result)
