# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`train`: trains one stage of the network on a dataset in the V2X-Real or OPV2V layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[
        Path, typer.Option(help="Dataset with the splits train and validate, or of scenarios.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, logs and network.safetensors.")],
    stage: Annotated[
        int, typer.Option(min=1, max=3, help="1 without codebook, 2 codebook only, 3 everything.")
    ] = 1,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML; without one, config/training/published/stageN.yaml."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from: folder of the stage before, .safetensors, .ckpt, or a"
            " checkpoint with published names."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from OUT/last.ckpt.")] = False,
    validation: Annotated[
        Path | None, typer.Option(help="Other dataset to validate on after each epoch.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Replaces the configuration's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Replaces the configuration's.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Frames a step and device; replaces the file's.")
    ] = None,
    max_steps: Annotated[
        int, typer.Option(min=-1, help="Stop after so many steps; -1: all epochs.")
    ] = -1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make samples.")] = 1,
    skip_broken: Annotated[
        bool, typer.Option(help="Warn about damaged files and go on without them.")
    ] = False,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "auto",
    devices: Annotated[str, typer.Option(help="Number of devices or processes, or auto.")] = "auto",
    nodes: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's: auto, ddp, ...")] = "auto",
    sync_batchnorm: Annotated[
        bool, typer.Option(help="BatchNorm over all devices; for small batches.")
    ] = False,
) -> None:
    """Train one stage; each starts from the one before. See docs/training.md."""
    from quantv2x_ros.resources import shared_folder
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
        resume=resume,
        validation=validation,
        workers=workers,
        skip_broken=skip_broken,
        devices=Devices(accelerator, devices, nodes, strategy, sync_batchnorm),
        max_steps=max_steps,
    )
    print(f"trained network: {run_stage(run)}")
