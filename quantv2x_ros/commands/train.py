# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`train`: trains the network on a dataset in the V2X-Real or OPV2V layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[Path, typer.Option(help="Dataset: a folder of scenarios.")],
    out: Annotated[Path, typer.Option(help="Network to write (.safetensors).")],
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")],
    start: Annotated[
        Path | None, typer.Option(help="Network to start from; random weights without.")
    ] = None,
    codebook: Annotated[
        bool, typer.Option(help="Train with the residual codebook; made by k-means if new.")
    ] = False,
    freeze_sender: Annotated[
        bool, typer.Option(help="Train only what a receiver runs: indices keep their meaning.")
    ] = False,
    learning_rate: Annotated[float, typer.Option(min=1e-7, max=1.0)] = 1.2e-3,
    decay: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Part of the steps with a falling rate.")
    ] = 0.4,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, samples and k-means.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Frames a step.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make samples.")] = 1,
    window: Annotated[
        tuple[float, float], typer.Option(help="Size of the crops in x and y, metres.")
    ] = (57.6, 51.2),
) -> None:
    """Train in full precision first, then (--codebook --start) with the codebook."""
    from quantv2x_ros.training.recipe import Recipe, run
    from quantv2x_ros.training.trainer import TrainConfig

    def report(step: int, losses: dict[str, float], seconds: float) -> None:
        parts = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        print(f"step {step}/{steps}  {parts}  {seconds:.2f} s a step", flush=True)

    schedule = TrainConfig(steps, learning_rate=learning_rate, decay=decay)
    recipe = Recipe(
        data=data,
        out=out,
        start=start,
        codebook=codebook,
        schedule=schedule,
        freeze_sender=freeze_sender,
        seed=seed,
        batch=batch,
        workers=workers,
        window=window,
    )
    run(recipe, report)
