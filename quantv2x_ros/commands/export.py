# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`export`: makes a model bundle of a trained network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantv2x_ros.commands._options import (
    BundleFolder,
    BundleName,
    BundleVersion,
    Checkpoint,
    ClassAware,
    CodedEgo,
    KeepDeadChannels,
    MaxAgents,
    Note,
    Stage,
)

if TYPE_CHECKING:
    from quantv2x_ros.training.quantization.simulation import CalibrationFrame

Data = Annotated[
    Path | None,
    typer.Option(
        help="Dataset whose frames calibrate the INT8 scales, and tell which channels never fire."
    ),
]
Precision = Annotated[str, typer.Option(help="Precision of the engines: int8 or fp32.")]
Frames = Annotated[int, typer.Option(min=1, help="Number of calibration frames.")]
Agents = Annotated[
    int, typer.Option(min=1, help="Largest number of agents of a calibration frame.")
]
Seed = Annotated[
    int, typer.Option(min=0, help="Seed of the choice of the calibration frames' agents.")
]
Activations = Annotated[str, typer.Option(help="Scales of activations: l3, l4, mse, kl or minmax.")]
Weights = Annotated[str, typer.Option(help="Scales of weights: mse or minmax.")]
Heads = Annotated[str, typer.Option(help="Weights of the heads: int8, fp32 or body.")]


def command(
    checkpoint: Checkpoint,
    out: BundleFolder,
    data: Data = None,
    precision: Precision = "int8",
    name: BundleName = "",
    version: BundleVersion = "1",
    frames: Frames = 64,
    agents: Agents = 3,
    seed: Seed = 0,
    activations: Activations = "l3",
    weights: Weights = "mse",
    heads: Heads = "int8",
    max_agents: MaxAgents = 8,
    class_aware: ClassAware = True,
    coded_ego: CodedEgo = None,
    keep_dead_channels: KeepDeadChannels = False,
    note: Note = "",
    stage: Stage = None,
) -> None:
    """Export a trained network as a bundle: ONNX engines, tables, weights and a manifest."""
    from rich.progress import track

    from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
    from quantv2x_ros.training.export.sparse_heads import record_sparse_heads
    from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
    from quantv2x_ros.training.quantization.post_training import QuantizationConfig
    from quantv2x_ros.training.start import open_network

    network = open_network(checkpoint, stage)
    network.code_ego(coded_ego)
    quantization = QuantizationConfig(activations=activations, weights=weights, heads=heads)
    made: dict[str, object] = {}
    calibration: Iterable[CalibrationFrame] = ()
    decisive: Iterable[CalibrationFrame] = ()
    if precision == "int8" and data is None:
        raise typer.BadParameter("INT8 needs --data: the scales come from real frames")
    if data is not None:
        chosen = CalibrationFrames(data, frames, network.config.grid, agents, seed)
        scales = {"activations": activations, "weights": weights, "heads": heads}
        made["calibration"] = {
            "frames": len(chosen),
            "agents": agents,
            **(scales if precision == "int8" else {}),
        }
        calibration = track(chosen, "Calibrating", total=len(chosen))
        decisive = track(chosen, "Where heads count", total=len(chosen))
    bundle = export_bundle(
        network,
        out,
        name=name or out.resolve().name,
        calibration_frames=calibration,
        precision=precision,
        settings=BundleSettings.of(network, version, max_agents, class_aware, note, **made),
        quantization=quantization,
        keep_dead=keep_dead_channels,
    )
    if precision == "int8" and network.config.architecture == "published":
        bundle = record_sparse_heads(out, decisive)
    if bundle.manifest.health is not None:
        print(bundle.manifest.health.summary())
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(
        f"{out}: {bundle.name} {bundle.version}, {bundle.precision}, {size:.1f} MB, "
        f"codebook {bundle.codebook_id:016x}"
    )
