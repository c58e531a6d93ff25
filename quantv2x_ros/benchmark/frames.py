# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The clouds that a benchmark runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantv2x_ros.benchmark.settings import BenchmarkError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.detect import choose_agents, frame_input
from quantv2x_ros.graph.replay_source import default_scene

#: Spread of the copies that top up a cloud with too few points, metres.
JITTER = 0.02
#: Frames of the simulated scene.
SCENE_FRAMES = 3

Cloud = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BenchmarkFrame:
    """One frame.

    Attributes:
        clouds: (P, 4) float32 a sweep, the ego's first, each in its own LiDAR frame.
        ego_to_agents: (N, 4, 4) from the ego's coordinates to each agent's.
    """

    clouds: Sequence[Cloud]
    ego_to_agents: npt.NDArray[np.float64]

    def first(self, agents: int) -> BenchmarkFrame:
        """Return the same frame with fewer agents."""
        return BenchmarkFrame(self.clouds[:agents], self.ego_to_agents[:agents])


def with_points(cloud: Cloud, points: int, seed: int = 0) -> Cloud:
    """Bring a cloud to a number of points.

    Args:
        cloud: (P, 4).
        points: wanted; fewer are drawn at random, more are jittered copies of those there are. 0
            leaves the cloud alone.
        seed: of the draw.

    Raises:
        BenchmarkError: for a cloud without points.
    """
    if points == 0:
        return cloud
    if len(cloud) == 0:
        raise BenchmarkError("a cloud without points cannot be brought to a number of points")
    generator = np.random.default_rng(seed)
    if len(cloud) >= points:
        return np.ascontiguousarray(cloud[np.sort(generator.permutation(len(cloud))[:points])])
    copies = cloud[generator.integers(0, len(cloud), points - len(cloud))].copy()
    copies[:, :3] += generator.normal(0, JITTER, (len(copies), 3)).astype(np.float32)
    return np.concatenate([cloud, copies])


def load_frame(scenario: str, agents: int, points: int) -> BenchmarkFrame:
    """Read the first frame of a scenario.

    Args:
        scenario: its folder; empty for a simulated crossing, which is made once.
        agents: how many take part, the nearest ones.
        points: see with_points.

    Raises:
        BenchmarkError: for a scenario with fewer agents.
    """
    folder = Path(scenario) if scenario else default_scene(agents, frames=SCENE_FRAMES)
    source = Scenario.open(folder, skip_broken=True)
    frame = source.frame(source.timestamps[0])
    if len(frame.agents) < agents:
        raise BenchmarkError(
            f"scenario {folder}: got {len(frame.agents)} agents, {agents} are to be measured"
        )
    given = frame_input(frame, choose_agents(frame, None, "all", agents))
    clouds = [with_points(cloud, points, seed) for seed, cloud in enumerate(given.clouds.values())]
    return BenchmarkFrame(clouds, given.ego_to_agents)
