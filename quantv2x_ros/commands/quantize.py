# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`quantize`: makes a quantized model bundle of a trained network, and says what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

Data = Annotated[Path, typer.Option(help="Dataset whose frames calibrate the scales.")]
Precision = Annotated[
    str, typer.Option(help="Bits of weights and activations: w8a8, w4a8 or w4a4.")
]
Scales = Annotated[
    str,
    typer.Option(
        help="Scales of activations: minmax, mse, kl, l3 or l4 (least error to the power of 3, 4)."
    ),
]
Heads = Annotated[
    str, typer.Option(help="Weights of the heads: int8, fp32, or body for the bits of the rest.")
]
CalibrationBatches = Annotated[int, typer.Option(min=1, help="Number of calibration batches.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Number of frames of a batch.")]
Agents = Annotated[int, typer.Option(min=1, help="Largest number of agents of a frame.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random draws.")]

# What is learned after rounding.
Reconstruct = Annotated[
    bool,
    typer.Option(help="Learn block by block which weights to round up, instead of to the nearest."),
]
Steps = Annotated[int, typer.Option(min=1, help="Number of steps of each block's reconstruction.")]
AwareSteps = Annotated[
    int,
    typer.Option(
        min=0,
        help="Number of steps of each of the four phases of aware training; 0: no aware training.",
    ),
]
Bfloat16 = Annotated[
    bool | None,
    typer.Option(
        "--bfloat16/--no-bfloat16",
        help="Whether convolutions run in bfloat16 while calibrating and learning, or in FP32 as"
        " in export; by default bfloat16 where the processor has it.",
        show_default=False,
    ),
]

# What is measured of it.
Evaluate = Annotated[
    Path | None, typer.Option(help="Dataset to measure AP on, in FP32 and as exported.")
]
MaxFrames = Annotated[
    int, typer.Option(min=0, help="Number of frames of that dataset, spread over it; 0: all.")
]
SimulatedFrames = Annotated[
    int,
    typer.Option(min=1, help="Number of its frames on which engines and simulation are compared."),
]
Sensitivity = Annotated[
    bool,
    typer.Option(
        "--sensitivity",
        help="Also measure each part quantized alone, on the frames of --simulated-frames.",
    ),
]
ReportFile = Annotated[Path | None, typer.Option(help="JSON file to write the report to.")]


def command(
    checkpoint: Checkpoint,
    data: Data,
    out: BundleFolder,
    precision: Precision = "w8a8",
    scales: Scales = "l3",
    heads: Heads = "int8",
    reconstruct: Reconstruct = False,
    steps: Steps = 300,
    aware_steps: AwareSteps = 0,
    bfloat16: Bfloat16 = None,
    calibration_batches: CalibrationBatches = 32,
    batch_size: BatchSize = 2,
    agents: Agents = 3,
    seed: Seed = 0,
    evaluate: Evaluate = None,
    max_frames: MaxFrames = 0,
    simulated_frames: SimulatedFrames = 4,
    sensitivity: Sensitivity = False,
    name: BundleName = "",
    version: BundleVersion = "1",
    max_agents: MaxAgents = 8,
    class_aware: ClassAware = True,
    coded_ego: CodedEgo = None,
    keep_dead_channels: KeepDeadChannels = False,
    note: Note = "",
    stage: Stage = None,
    json: ReportFile = None,
) -> None:
    """Quantize a trained network and export it: scales, rounding, size, bit operations."""
    from quantv2x_ros.environment.provenance import provenance
    from quantv2x_ros.evaluation.report import write_json
    from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending
    from quantv2x_ros.training.export.bundle_writer import BundleSettings, write_bundle
    from quantv2x_ros.training.export.measurement import Measurement
    from quantv2x_ros.training.export.sparse_heads import record_sparse_heads
    from quantv2x_ros.training.float_precision import choose_bfloat16
    from quantv2x_ros.training.quantization.aware_training import AwareTrainingConfig
    from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
    from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
    from quantv2x_ros.training.quantization.post_training import QuantizationConfig
    from quantv2x_ros.training.quantization.workflow import Workflow, print_report
    from quantv2x_ros.training.start import open_network

    if sensitivity and evaluate is None:
        raise typer.BadParameter("--sensitivity needs --evaluate: it measures AP")
    config = QuantizationConfig.parse(precision, scales, heads)
    network = open_network(checkpoint, stage)
    network.code_ego(coded_ego)
    count = calibration_batches * batch_size
    frames = CalibrationFrames(data, count, network.config.grid, agents, seed)
    fast = choose_bfloat16(bfloat16)
    workflow = Workflow(network, frames, config, fast, keep_dead_channels)
    graphs = workflow.quantize()
    if reconstruct:
        learning = ReconstructionConfig(steps=steps, seed=seed, bfloat16=fast)
        graphs = workflow.reconstruct(graphs, learning)
    if aware_steps:
        schedule = AwareTrainingConfig(aware_steps, bfloat16=fast)
        graphs = workflow.train(graphs, data, schedule, seed)
    settings = BundleSettings.of(
        network, version, max_agents, class_aware, note, quantization=workflow.summary()
    )
    bundle = write_bundle(network, graphs, out, name or out.resolve().name, settings)
    if graphs.architecture == "published":
        bundle = record_sparse_heads(out, frames)
    report = workflow.report(graphs, agents)
    if evaluate is not None:
        features = Link(sending=Sending(radio="none"))  # what is quantized, not what is sent
        how = EvaluationConfig(
            agents=agents, max_frames=max_frames, fusion="features", link=features
        )
        measurement = Measurement(
            network, graphs, config.precision, bundle, evaluate, how, simulated_frames
        )
        report["measured"] = measurement.precisions()
        if sensitivity:
            report["sensitivity"] = measurement.parts()
    if json is not None:
        origin = provenance(bundle.name, bundle.version)
        write_json(json, {**report, "provenance": origin})
    print_report(report)
    if bundle.manifest.health is not None:
        print(bundle.manifest.health.summary())
    print(f"{out}: {bundle.name} {bundle.version}, codebook {bundle.codebook_id:016x}")
