# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated scenes on disk, in the V2X-Real layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantv2x_ros.data.simulator.scene import simulate_scene
from quantv2x_ros.data.v2x_real import write_agent_frame


def write_scenario(
    folder: Path | str,
    *,
    seed: int,
    frames: int,
    agents: int,
    layout: str | None = None,
    crowd: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate a scene at 10 Hz and write ``<folder>/<agent>/<timestamp>.{bin,yaml}``.

    Args:
        folder: the scenario's folder; made when missing.
        seed: seed of the scene.
        frames: number of frames.
        agents: number of agents.
        layout: see :func:`simulate_scene`.
        crowd: see :func:`simulate_scene`.
        progress: called with (frames done, frames) after each frame.
    """
    scene = simulate_scene(seed, frames=frames, agents=agents, layout=layout, crowd=crowd)
    for done, frame in enumerate(scene, start=1):
        for name, agent in frame.agents.items():
            write_agent_frame(
                Path(folder) / name,
                frame.timestamp,
                agent.points,
                lidar_pose=agent.pose6,
                objects=agent.objects,
                infrastructure=agent.infrastructure,
                speed=agent.speed * 3.6,
            )
        if progress is not None:
            progress(done, frames)
