# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of several agents as one batch of pillars for the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars.pillars import PillarGrouper, check_points


class PillarInput(NamedTuple):
    """Pillars of N agents with the same pillar grid shape.

    Attributes:
        features: (K, 10) float32 (docs/network.md, "Pillar features").
        point_pillar: (K,) int32.
        counts: (M,) int32.
        cells: (M,) int64, agent * rows * columns + row * columns + column.
        agents: N.
        shape: rows and columns.
    """

    features: torch.Tensor
    point_pillar: torch.Tensor
    counts: torch.Tensor
    cells: torch.Tensor
    agents: int
    shape: tuple[int, int]


def pillar_input(
    clouds: Sequence[npt.NDArray[np.float32]], grids: Sequence[BevGrid]
) -> PillarInput:
    """Group one (P, 4) cloud an agent, each by its own grid.

    Raises:
        ValueError: for grids of different shapes or a cloud of another shape.
    """
    shapes = {grid.pillar_shape for grid in grids}
    if len(shapes) != 1 or len(clouds) != len(grids):
        raise ValueError(f"pillar grids of {len(grids)} agents: shapes {sorted(shapes)} differ")
    shape = shapes.pop()
    features, point_pillar, counts, cells = [], [], [], []
    pillars_before = 0
    for agent, (cloud, grid) in enumerate(zip(clouds, grids, strict=True)):
        points = check_points(cloud)
        grouper = PillarGrouper(grid)
        pillars = grouper(points)
        kept = points[pillars.point_index]
        centres = grouper.centres(pillars.cells)
        offset_mean = kept[:, :3] - pillars.means[pillars.point_pillar]
        offset_centre = kept[:, :3] - centres[pillars.point_pillar]
        features.append(np.concatenate([kept, offset_mean, offset_centre], axis=1))
        point_pillar.append(pillars.point_pillar + pillars_before)
        counts.append(pillars.counts.copy())
        cells.append(pillars.cells.astype(np.int64) + agent * shape[0] * shape[1])
        pillars_before += len(pillars.cells)
    return PillarInput(
        torch.from_numpy(np.concatenate(features).astype(np.float32)),
        torch.from_numpy(np.concatenate(point_pillar).astype(np.int32)),
        torch.from_numpy(np.concatenate(counts)),
        torch.from_numpy(np.concatenate(cells)),
        len(clouds),
        shape,
    )
