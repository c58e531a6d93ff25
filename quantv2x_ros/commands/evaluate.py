# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: average precision of a bundle over a dataset."""

from __future__ import annotations

from quantv2x_ros.commands import _evaluate_options as option
from quantv2x_ros.commands._options import (
    Backend,
    Bundle,
    CloudMount,
    CloudScale,
    Level,
    ResultFile,
    Threads,
)


def command(
    data: option.Data,
    json: ResultFile,
    bundle: Bundle = "",
    precision: option.Precision = "",
    backend: Backend = "auto",
    threads: Threads = 0,
    agents: option.Agents = 3,
    ego_only: option.EgoOnly = False,
    mode: option.Mode = "vc",
    communication_range: option.CommunicationRange = 70.0,
    protocol: option.Protocol = "global",
    loss: option.Loss = 0.0,
    max_payload_bytes: option.MaxPayloadBytes = 1398,
    levels: option.Levels = 0,
    min_occupancy: option.MinOccupancy = 0.0,
    parity: option.Parity = 0.0,
    max_bytes: option.MaxBytes = 0,
    interest_range: option.InterestRange = 0.0,
    interest_of_receivers: option.InterestOfReceivers = False,
    score_threshold: option.ScoreThreshold = 0.2,
    conceal: option.Conceal = 0.3,
    channel: option.Channel = None,
    deadline_ms: option.DeadlineMs = 50.0,
    latency_ms: option.LatencyMs = 0.0,
    pose_noise: option.PoseNoise = 0.0,
    heading_noise: option.HeadingNoise = None,
    align: option.Align = False,
    compensate: option.Compensate = False,
    turn_grids: option.TurnGrids = True,
    level: Level = True,
    cloud_mount: CloudMount = "",
    cloud_scale: CloudScale = 1.0,
    sweep: option.Sweep = "",
    streaming: option.Streaming = "",
    report: option.Report = None,
    compare: option.Compare = None,
    worst: option.Worst = 4,
    seed: option.Seed = 0,
    max_frames: option.MaxFrames = 0,
    skip_broken: option.SkipBroken = False,
) -> None:
    """Evaluate on a dataset: AP by class at BEV IoU 0.3, 0.5 and 0.7, and bytes a message."""
    from quantv2x_ros.commands._detectors import open_detector
    from quantv2x_ros.core.placement.cloud_placement import parse_placement
    from quantv2x_ros.core.transport.sweep_sender import SendSettings
    from quantv2x_ros.core.transport.tiles import TileSettings
    from quantv2x_ros.environment.progress import counted
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.channel_file import read_channel
    from quantv2x_ros.evaluation.report import print_precision, write_json
    from quantv2x_ros.evaluation.session import Request, run
    from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending

    how = SendSettings(TileSettings(max_payload_bytes), levels, min_occupancy, parity)
    link = Link(
        loss=loss,
        latency_ms=latency_ms,
        pose_noise=pose_noise,
        heading_noise=heading_noise,
        sending=Sending(how, max_bytes, interest_range, interest_of_receivers),
        seed=seed,
        conceal=conceal,
        channel=None if channel is None else read_channel(channel),
        deadline_ms=deadline_ms,
    )
    config = EvaluationConfig(
        agents=agents,
        ego_only=ego_only,
        mode=mode,
        protocol=protocol,
        link=link,
        max_frames=max_frames,
        communication_range=communication_range,
        skip_broken=skip_broken,
        align=align,
        compensate=compensate,
        turn_grids=turn_grids,
        level=level,
        placement=parse_placement(cloud_mount, cloud_scale),
    )
    request = Request.parse(data, config, sweep, streaming, report, compare or (), worst)
    detector = open_detector(find_bundle(bundle), precision, backend, threads, score_threshold)
    with counted("Evaluating") as progress:
        result = run(detector, request, progress)
    result["provenance"] = provenance(detector.bundle.name, detector.bundle.version)
    write_json(json, result)
    if report is not None:
        write_json(report / "result.json", result)
    print_precision(result)
