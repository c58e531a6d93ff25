# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of `evaluate`, by what they are about; defaults stand at the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# What is evaluated, and by which engines.
Data = Annotated[Path, typer.Option(help="A dataset, one of its splits, or a scenario.")]
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

# Who cooperates, and how boxes are ranked.
Agents = Annotated[int, typer.Option(min=1, help="Most agents a frame, ego included.")]
EgoOnly = Annotated[
    bool, typer.Option("--ego-only", help="Fuse nothing; the truth stays that of all agents.")
]
Mode = Annotated[str, typer.Option(help="vc, ic, v2v or i2i: who is ego, who is heard.")]
CommunicationRange = Annotated[
    float, typer.Option(min=0.0, help="Agents up to this far from the ego are heard, metres.")
]
Protocol = Annotated[
    str, typer.Option(help="global ranks all detections; v2xreal ranks within frames only.")
]
ScoreThreshold = Annotated[
    float, typer.Option(help="Boxes with lower scores are not ranked; 0.2 is the published.")
]
Align = Annotated[
    bool, typer.Option("--align", help="Correct peers' poses by the objects that both see.")
]
Compensate = Annotated[
    bool, typer.Option("--compensate", help="Carry moving objects in peers' late messages on.")
]
TurnGrids = Annotated[
    bool, typer.Option(help="Roadside units lay their grids along their receivers' roads.")
]

# What an agent sends.
MaxPayloadBytes = Annotated[
    int, typer.Option(min=0, help="Largest tile; 0: a message is lost as a whole.")
]
Levels = Annotated[int, typer.Option(min=0, help="Residual levels that are sent at most; 0: all.")]
MinOccupancy = Annotated[
    float, typer.Option(help="Cells where an object is less likely than this are not sent.")
]
Parity = Annotated[float, typer.Option(help="Parity tiles for each tile, against loss; 0: none.")]
MaxBytes = Annotated[
    int, typer.Option(min=0, help="Most bytes of a frame: less is sent; 0: any number.")
]
InterestRange = Annotated[
    float,
    typer.Option(min=0.0, help="Cells further from the sensor are not sent, metres; 0: no limit."),
]
InterestOfReceivers = Annotated[
    bool,
    typer.Option(
        "--interest-of-receivers", help="Cells outside the ranges of all other agents are not sent."
    ),
]

# What happens to it on the way.
Loss = Annotated[float, typer.Option(help="Probability of losing a tile of a peer's message.")]
Conceal = Annotated[
    float,
    typer.Option(
        min=0.0, help="Lost cells are taken from sweeps up to so many seconds before; 0: holes."
    ),
]
Channel = Annotated[
    Path | None,
    typer.Option(
        help="Settings of a channel that all share, instead of loss: a parameter file of the"
        " node 'channel', such as config/channel.yaml."
    ),
]
DeadlineMs = Annotated[
    float,
    typer.Option(min=0.0, help="What comes later after a sweep of the ego waits for the next."),
]
LatencyMs = Annotated[
    float, typer.Option(help="Age of the peers' messages, rounded to whole frames.")
]
PoseNoise = Annotated[
    float, typer.Option(help="Deviation of the peers' positions, metres, and headings, degrees.")
]
HeadingNoise = Annotated[
    float | None, typer.Option(help="Deviation of the headings alone, degrees.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of losses and noise.")]

# What is measured beside it, and shown.
Sweep = Annotated[
    str,
    typer.Option(
        help="Measure a whole curve: agents, latency_ms, latency_ms_compensated, pose_noise,"
        " heading_noise, pose_error, pose_error_aligned, loss, loss_holes, burst_loss, stations,"
        " levels, min_occupancy, interest_range, interest_of_receivers, max_bytes (several by"
        " commas), link (all of bytes and losses), all or none."
    ),
]
Streaming = Annotated[
    str,
    typer.Option(
        help="Streaming AP: latencies from sweep to boxes in ms by commas, or 'measured'."
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
Worst = Annotated[int, typer.Option(min=0, help="Pictures of the worst frames.")]
