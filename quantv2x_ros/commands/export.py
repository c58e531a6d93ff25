# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`export`: makes a model bundle of a trained network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from quantv2x_ros.training.quantization.simulation import CalibrationFrame


def command(
    checkpoint: Annotated[Path, typer.Option(help="Trained network (.safetensors).")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle, such as engines/NAME.")],
    data: Annotated[
        Path | None, typer.Option(help="Dataset that INT8 scales are calibrated on.")
    ] = None,
    precision: Annotated[str, typer.Option(help="int8 or fp32.")] = "int8",
    name: Annotated[str, typer.Option(help="Name of the bundle; empty: its folder's.")] = "",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1",
    frames: Annotated[int, typer.Option(min=1, help="Calibration frames.")] = 24,
    agents: Annotated[int, typer.Option(min=1, help="Most agents of a calibration frame.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the calibration frames' agents.")] = 0,
    activations: Annotated[str, typer.Option(help="Scales: l3, l4, mse, kl or minmax.")] = "l3",
    weights: Annotated[str, typer.Option(help="Scales of weights: mse or minmax.")] = "mse",
    heads: Annotated[str, typer.Option(help="Weights of the heads: int8, fp32 or body.")] = "int8",
    max_agents: Annotated[int, typer.Option(min=1, help="Most agents the bundle fuses.")] = 8,
    class_aware: Annotated[
        bool, typer.Option(help="Boxes suppress only boxes of their own class.")
    ] = True,
    note: Annotated[str, typer.Option(help="What it was trained with, for the manifest.")] = "",
) -> None:
    """Export a trained network as a bundle: ONNX engines, tables, weights and a manifest."""
    from rich.progress import track

    from quantv2x_ros.core.detection import DetectionConfig
    from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
    from quantv2x_ros.training.export.checkpoint import load_checkpoint
    from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
    from quantv2x_ros.training.quantization.post_training import QuantizationConfig
    from quantv2x_ros.training.recipe import default_network

    network = load_checkpoint(checkpoint, default_network(codebook=True).config)
    count = sum(parameter.numel() for parameter in network.parameters())
    training: dict[str, object] = {"note": note, "parameters": count}
    calibration: Iterable[CalibrationFrame] = ()
    if precision == "int8":
        if data is None:
            raise typer.BadParameter("INT8 needs --data: the scales come from real frames")
        chosen = CalibrationFrames(data, frames, network.config.grid, agents, seed)
        training["calibration"] = {
            "frames": len(chosen),
            "agents": agents,
            "activations": activations,
            "weights": weights,
            "heads": heads,
        }
        calibration = track(chosen, "Calibrating", total=len(chosen))
    settings = BundleSettings(
        version=version,
        detection=DetectionConfig.recommended(class_aware),
        max_agents=max_agents,
        training=training,
    )
    bundle = export_bundle(
        network,
        out,
        name=name or out.resolve().name,
        calibration_frames=calibration,
        precision=precision,
        settings=settings,
        quantization=QuantizationConfig(activations=activations, weights=weights, heads=heads),
    )
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(
        f"{out}: {bundle.name} {bundle.version}, {bundle.precision}, {size:.1f} MB, "
        f"codebook {bundle.codebook_id:016x}"
    )
