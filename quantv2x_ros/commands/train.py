# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`train`: trains one stage of the network on a dataset in the V2X-Real or OPV2V layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Option(help="Dataset with the splits train and validate, or of scenarios.")
]
Out = Annotated[Path, typer.Option(help="Folder of checkpoints, logs and network.safetensors.")]
Stage = Annotated[
    int,
    typer.Option(
        min=1, max=3, help="Stage: 1 all without codebook, 2 the codebook alone, 3 everything."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help="YAML file of the stage; by default config/training/published/stageN.yaml."),
]
Start = Annotated[
    Path | None,
    typer.Option(
        help="Weights to start from: folder of the stage before, .safetensors, .ckpt, or a"
        " checkpoint with published names."
    ),
]
NewCodebook = Annotated[
    bool,
    typer.Option(
        help="Forget the codebook of --start, which may be of another kind or size, and make one"
        " from its features."
    ),
]
Resume = Annotated[bool, typer.Option(help="Go on from OUT/last.ckpt.")]
Validation = Annotated[
    Path | None,
    typer.Option(help="Dataset to validate on after each epoch, in place of the split."),
]
MaxSteps = Annotated[int, typer.Option(min=-1, help="Largest number of steps; -1: all epochs.")]
Workers = Annotated[int, typer.Option(min=0, help="Number of processes that make samples.")]
SkipBroken = Annotated[bool, typer.Option(help="Warn about damaged files and go on without them.")]

# What replaces values of the configuration.
Epochs = Annotated[int | None, typer.Option(min=1, help="Number of epochs; replaces the file's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed; replaces the file's.")]
Batch = Annotated[
    int | None,
    typer.Option(min=1, help="Number of samples of a step on each device; replaces the file's."),
]

# What it runs on.
Accelerator = Annotated[str, typer.Option(help="Device: cpu, gpu or auto.")]
DeviceCount = Annotated[str, typer.Option(help="Number of devices or processes, or auto.")]
Nodes = Annotated[int, typer.Option(min=1, help="Number of machines that train together.")]
Strategy = Annotated[str, typer.Option(help="Strategy of Lightning: auto, ddp, ...")]
SyncBatchnorm = Annotated[
    bool, typer.Option(help="Compute BatchNorm over all devices, for small batches.")
]


def command(
    data: Data,
    out: Out,
    stage: Stage = 1,
    config: Config = None,
    start: Start = None,
    new_codebook: NewCodebook = False,
    resume: Resume = False,
    validation: Validation = None,
    epochs: Epochs = None,
    seed: Seed = None,
    batch: Batch = None,
    max_steps: MaxSteps = -1,
    workers: Workers = 1,
    skip_broken: SkipBroken = False,
    accelerator: Accelerator = "auto",
    devices: DeviceCount = "auto",
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    sync_batchnorm: SyncBatchnorm = False,
) -> None:
    """Train one stage of the network, from the weights of the one before; see docs/training.md."""
    from quantv2x_ros.environment.resources import shared_folder
    from quantv2x_ros.training.config import TrainingConfigError, load_config
    from quantv2x_ros.training.stage import Devices, StageRun, run_stage

    path = config or shared_folder("config") / "training" / "published" / f"stage{stage}.yaml"
    given = {"epochs": epochs, "seed": seed, "batch": batch}
    settings = load_config(path, {k: v for k, v in given.items() if v is not None})
    if config is not None and settings.stage != stage and stage != 1:
        raise TrainingConfigError(f"{path} is of stage {settings.stage}, asked for was {stage}")
    run = StageRun(
        config=settings,
        data=data,
        out=out,
        start=start,
        new_codebook=new_codebook,
        resume=resume,
        validation=validation,
        workers=workers,
        skip_broken=skip_broken,
        devices=Devices(accelerator, devices, nodes, strategy, sync_batchnorm),
        max_steps=max_steps,
    )
    print(f"trained network: {run_stage(run)}")
