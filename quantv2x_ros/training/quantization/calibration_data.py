# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibration frames from a dataset, with as many agents as cooperate in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.scenario import open_whole
from quantv2x_ros.training.quantization.simulation import CalibrationFrame
from quantv2x_ros.training.samples import SampleConfig, choose_agents


class CalibrationFrames:
    """Frames spread evenly over a dataset; egos and peers are drawn as in training.

    Args:
        root: a dataset in the V2X-Real or OPV2V layout, one of its splits, or a scenario.
        count: frames wanted; fewer where the dataset has fewer.
        grid: the network's grid.
        max_agents: most agents of a frame.
        seed: seed of the draws.

    Raises:
        DatasetError: if there is no scenario. Files that lack their counterpart are left out, and
            named in the log.
    """

    def __init__(
        self, root: Path, count: int, grid: BevGrid, max_agents: int = 3, seed: int = 0
    ) -> None:
        scenarios = open_whole(root)
        listed = [(scenario, stamp) for scenario in scenarios for stamp in scenario.timestamps]
        chosen = np.linspace(0, len(listed) - 1, min(count, len(listed))).round().astype(int)
        self._frames = [listed[index] for index in chosen]
        self._config = SampleConfig(grid, max_agents=max_agents)
        self._seed = seed

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def __iter__(self) -> Iterator[CalibrationFrame]:
        """Read the frames one by one; the same ones every time."""
        rng = np.random.default_rng(self._seed)
        for scenario, timestamp in self._frames:
            frame = scenario.frame(timestamp)
            agents = choose_agents(frame, self._config, rng)
            clouds = [frame[agent].points for agent in agents]
            objects = frame.truth(agents[0], agents).boxes[:, :2]
            yield CalibrationFrame(clouds, frame.ego_to_agents(agents), objects)
