# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated scene that is played where no recording is given."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from quantv2x_ros.core.cache_folder import cache_folder, find_cache_folder

#: Seed and layout of the scene: a crossing where each agent hides much from the other. Training
#: uses other seeds.
SEED = 20_260_011
LAYOUT = "intersection"
#: Length of the scene at 10 Hz, frames.
FRAMES = 100


#: Folder of scenes in the cache folder.
SCENES = "scenes"


def default_scene(
    agents: int,
    *,
    seed: int = SEED,
    frames: int = FRAMES,
    folder: Path | None = None,
    announce: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return a simulated scenario, which is made at the first call and kept.

    The agents are called 1 (the ego), -1, 2, -2, and so on: vehicles and, negative, roadside units.
    A changed simulator makes a new scene.

    Args:
        agents: number of agents.
        seed: of the scene.
        frames: its length at 10 Hz.
        folder: where scenes are kept; the user's cache folder where None.
        announce: called with a sentence before a scene is made, which takes a while.
        progress: called with (frames done, frames) while it is made.

    Raises:
        OSError: naming the folder, if neither it nor any other can be written.
    """
    base = folder or cache_folder(SCENES)
    if base is None:
        raise OSError(find_cache_folder().trouble)
    scene = base / f"{LAYOUT}_seed{seed}_agents{agents}_frames{frames}_{_simulator_hash()}"
    if scene.is_dir():
        return scene
    from quantv2x_ros.data.simulator import write_scenario

    if announce is not None:
        announce(f"Simulating {frames} frames of {agents} agents once, into {scene}")
    base.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial_", dir=base))
    try:
        write_scenario(
            partial, seed=seed, frames=frames, agents=agents, layout=LAYOUT, progress=progress
        )
        try:
            partial.rename(scene)
        except OSError:
            if not scene.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return scene


def _simulator_hash() -> str:
    """Return a short hash of the simulator's sources."""
    from quantv2x_ros.data import simulator

    digest = hashlib.sha256()
    for source in sorted(Path(simulator.__path__[0]).glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
