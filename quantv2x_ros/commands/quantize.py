# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`quantize`: makes a quantized model bundle of a trained network, and says what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    checkpoint: Annotated[Path, typer.Option(help="Trained network (.safetensors).")],
    data: Annotated[Path, typer.Option(help="Dataset that is calibrated on.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle, such as engines/NAME.")],
    precision: Annotated[str, typer.Option(help="w8a8, w4a8 or w4a4.")] = "w8a8",
    scales: Annotated[
        str, typer.Option(help="minmax, mse, kl, or l3 and l4: errors to the power of 3 and 4.")
    ] = "l3",
    heads: Annotated[
        str, typer.Option(help="Weights of the heads: int8, fp32, or body for those of the rest.")
    ] = "int8",
    reconstruct: Annotated[
        bool, typer.Option(help="Learn the rounding block by block, not to the nearest.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of a block's reconstruction.")] = 300,
    aware_steps: Annotated[
        int,
        typer.Option(min=0, help="Steps of each of the four phases of aware training; 0: none."),
    ] = 0,
    bfloat16: Annotated[
        bool,
        typer.Option(help="Calibrate and learn with convolutions in bfloat16; export does not."),
    ] = True,
    calibration_batches: Annotated[int, typer.Option(min=1, help="Batches to calibrate on.")] = 16,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames of a batch.")] = 2,
    agents: Annotated[int, typer.Option(min=1, help="Most agents of a frame.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
    evaluate: Annotated[
        Path | None,
        typer.Option(help="Dataset to measure AP on, in FP32 and as exported."),
    ] = None,
    max_frames: Annotated[int, typer.Option(min=0, help="Only so many frames of it; 0: all.")] = 0,
    simulated_frames: Annotated[
        int, typer.Option(min=1, help="Frames of it to compare engines and simulation on.")
    ] = 4,
    sensitivity: Annotated[
        bool,
        typer.Option(
            "--sensitivity", help="Also quantize each part alone; on so many frames, too."
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="Name of the bundle; empty: its folder's.")] = "",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1",
    max_agents: Annotated[int, typer.Option(min=1, help="Most agents the bundle fuses.")] = 8,
    class_aware: Annotated[
        bool, typer.Option(help="Boxes suppress only boxes of their own class.")
    ] = True,
    note: Annotated[str, typer.Option(help="What it was trained with, for the manifest.")] = "",
    json: Annotated[Path | None, typer.Option(help="File to write the report to.")] = None,
) -> None:
    """Quantize a trained network and export it: scales, rounding, size, bit operations."""
    from quantv2x_ros.core.detection import PROTOCOL_SCORE, DetectionConfig
    from quantv2x_ros.offline.report import write_json
    from quantv2x_ros.offline.settings import EvaluationConfig
    from quantv2x_ros.training.export.bundle_writer import BundleSettings, write_bundle
    from quantv2x_ros.training.export.checkpoint import load_checkpoint
    from quantv2x_ros.training.quantization.aware_training import AwareTrainingConfig
    from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
    from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
    from quantv2x_ros.training.quantization.post_training import QuantizationConfig
    from quantv2x_ros.training.quantization.report import print_report
    from quantv2x_ros.training.quantization.workflow import Workflow
    from quantv2x_ros.training.recipe import default_network

    if sensitivity and evaluate is None:
        raise typer.BadParameter("--sensitivity needs --evaluate: it measures AP")
    config = QuantizationConfig.parse(precision, scales, heads)
    network = load_checkpoint(checkpoint, default_network(codebook=True).config)
    count = calibration_batches * batch_size
    frames = CalibrationFrames(data, count, network.config.grid, agents, seed)
    workflow = Workflow(network, frames, config, bfloat16)
    graphs = workflow.quantize()
    if reconstruct:
        learning = ReconstructionConfig(steps=steps, seed=seed, bfloat16=bfloat16)
        graphs = workflow.reconstruct(graphs, learning)
    if aware_steps:
        schedule = AwareTrainingConfig(aware_steps, bfloat16=bfloat16)
        graphs = workflow.train(graphs, data, schedule, seed)
    settings = BundleSettings(
        version=version,
        detection=DetectionConfig.recommended(class_aware),
        max_agents=max_agents,
        training={
            "note": note,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "quantization": workflow.summary(),
        },
    )
    bundle = write_bundle(network, graphs, out, name or out.resolve().name, settings)
    report = workflow.report(graphs, agents)
    if evaluate is not None:
        how = EvaluationConfig(agents=agents, max_frames=max_frames)
        bundle = bundle.with_score_threshold(PROTOCOL_SCORE)
        report["measured"] = workflow.measure(graphs, bundle, evaluate, how, simulated_frames)
    if evaluate is not None and sensitivity:
        few = EvaluationConfig(agents=agents, max_frames=simulated_frames)
        report["sensitivity"] = workflow.sensitivity(graphs, bundle, evaluate, few)
    if json is not None:
        write_json(json, report)
    print_report(report)
    print(f"{out}: {bundle.name} {bundle.version}, codebook {bundle.codebook_id:016x}")
