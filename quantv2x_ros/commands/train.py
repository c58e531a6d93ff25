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
    int, typer.Option(min=1, max=3, help="1 without codebook, 2 codebook only, 3 everything.")
]
Config = Annotated[
    Path | None,
    typer.Option(help="YAML; without one, config/training/published/stageN.yaml."),
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
    Path | None, typer.Option(help="Other dataset to validate on after each epoch.")
]
MaxSteps = Annotated[int, typer.Option(min=-1, help="Stop after so many steps; -1: all epochs.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make samples.")]
SkipBroken = Annotated[bool, typer.Option(help="Warn about damaged files and go on without them.")]

# What replaces values of the configuration.
Epochs = Annotated[int | None, typer.Option(min=1, help="Replaces the configuration's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Replaces the configuration's.")]
Batch = Annotated[
    int | None, typer.Option(min=1, help="Frames a step and device; replaces the file's.")
]

# What it runs on.
Accelerator = Annotated[str, typer.Option(help="cpu, gpu or auto.")]
DeviceCount = Annotated[str, typer.Option(help="Number of devices or processes, or auto.")]
Nodes = Annotated[int, typer.Option(min=1, help="Machines that train together.")]
Strategy = Annotated[str, typer.Option(help="Lightning's: auto, ddp, ...")]
SyncBatchnorm = Annotated[bool, typer.Option(help="BatchNorm over all devices; for small batches.")]


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
    """Train one stage; each starts from the one before. See docs/training.md."""
    from quantv2x_ros.environment.resources import shared_folder
    from quantv2x_ros.training.config import TrainingConfigError
    from quantv2x_ros.training.config_file import load_config
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
