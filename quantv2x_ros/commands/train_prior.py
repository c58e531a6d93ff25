# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`train-prior`: trains the entropy model of a bundle's indices, and puts it into the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle, such as engines/NAME.")],
    data: Annotated[Path, typer.Option(help="Dataset whose sweeps are encoded as training data.")],
    sweeps: Annotated[
        int, typer.Option(min=1, help="Number of sweeps, spread over the dataset.")
    ] = 700,
    steps: Annotated[
        int, typer.Option(min=1, help="Number of optimizer steps for each level.")
    ] = 4000,
    batch: Annotated[int, typer.Option(min=16, help="Number of cells of a step.")] = 4096,
    learning_rate: Annotated[
        float, typer.Option(min=1e-7, max=1.0, help="Largest learning rate of the schedule.")
    ] = 5e-3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and batches.")] = 0,
) -> None:
    """Train the entropy model of a bundle's indices; it gives the bundle a new codebook id."""
    from rich.progress import track

    from quantv2x_ros.inference.model.bundle import ModelBundle
    from quantv2x_ros.training.entropy_model.learn import (
        EntropyModelRecipe,
        install_entropy_model,
        learn_entropy_model,
    )
    from quantv2x_ros.training.entropy_model.samples import IndexMaps

    before = ModelBundle.load(bundle)
    chosen = IndexMaps(before, data, sweeps)
    maps = list(track(chosen, "Encoding sweeps", total=len(chosen)))
    recipe = EntropyModelRecipe(steps=steps, batch=batch, learning_rate=learning_rate, seed=seed)
    model = learn_entropy_model(before, maps, recipe, track)
    after = install_entropy_model(bundle, model)
    print(
        f"{bundle}: entropy model trained on {len(maps)} sweeps; codebook id"
        f" {before.codebook_id:016x} is now {after.codebook_id:016x}"
    )
