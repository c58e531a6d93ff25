# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps of a dataset's sweeps, as a bundle's encoder sends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.scenario import open_whole
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle


class IndexMaps:
    """Sweeps spread evenly over a dataset, encoded one by one.

    Args:
        bundle: whose encoder.
        root: a dataset in the V2X-Real or OPV2V layout, one of its splits, or a scenario.
        count: sweeps wanted; fewer where the dataset has fewer.
        threads: threads of the engine; None for one a core.

    Raises:
        DatasetError: if there is no scenario. Files that lack their counterpart are left out, and
            named in the log.
    """

    def __init__(
        self, bundle: ModelBundle, root: Path, count: int, threads: int | None = None
    ) -> None:
        sweeps = [
            (scenario, timestamp, agent)
            for scenario in open_whole(root)
            for timestamp in scenario.timestamps
            for agent in scenario.agents
        ]
        chosen = np.linspace(0, len(sweeps) - 1, min(count, len(sweeps))).round().astype(int)
        self._sweeps = [sweeps[index] for index in chosen]
        self._encoder = AgentEncoder(bundle, threads=threads)

    def __len__(self) -> int:
        """Number of sweeps."""
        return len(self._sweeps)

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Encode the sweeps, (planes, H, W) uint8 each."""
        for scenario, timestamp, agent in self._sweeps:
            frame = scenario.frame(timestamp)
            if agent in frame.agents:
                yield self._encoder.encode(frame[agent].points).indices.copy()
