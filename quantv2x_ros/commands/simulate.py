# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`simulate`: writes simulated scenes in the layout of V2X-Real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option(help="Root folder of the dataset to write.")],
    scenes: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 1,
    frames: Annotated[
        int, typer.Option(min=1, help="Number of frames of each scene, at 10 Hz.")
    ] = 20,
    agents: Annotated[
        int,
        typer.Option(min=1, help="Number of agents of each scene: vehicles and roadside units."),
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first scene; each further scene adds 1.")
    ] = 0,
    split: Annotated[str, typer.Option(help="Sub-folder: train, validate or test.")] = "test",
    crowd: Annotated[
        float,
        typer.Option(min=0.0, max=10.0, help="Factor on the numbers of people and large vehicles."),
    ] = 1.0,
) -> None:
    """Write simulated scenes as a V2X-Real dataset: OUT/SPLIT/SCENE/AGENT/TIMESTAMP.{bin,yaml}."""
    from quantv2x_ros.data.simulator import write_scenario
    from quantv2x_ros.environment.progress import counting_progress

    with counting_progress() as progress:
        task = progress.add_task("Simulating", total=scenes * frames)
        for scene_seed in range(seed, seed + scenes):
            folder = out / split / f"scene_{scene_seed:06d}"
            progress.update(task, description=f"Simulating {folder.name}")
            write_scenario(
                folder,
                seed=scene_seed,
                frames=frames,
                agents=agents,
                crowd=crowd,
                progress=lambda *_: progress.advance(task),
            )
    print(f"{scenes} scenes of {frames} frames and {agents} agents in {out / split}")
