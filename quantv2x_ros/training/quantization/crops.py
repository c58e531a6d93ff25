# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Crops of calibration frames: the same piece of the world, as each of its agents sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from quantv2x_ros.core.geometry.grid import PILLAR_MULTIPLE, BevGrid
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.core.pillars.pillar_net import PillarNet, PillarWeights
from quantv2x_ros.training.quantization.simulation import CalibrationFrame
from quantv2x_ros.training.samples import crop_grid


@dataclass(frozen=True)
class Crop:
    """A crop of one frame.

    Attributes:
        pillars: (N, C, rows, columns) float32 scattered pillar features, the ego first.
        thetas: (N, 2, 3) float64 from the ego's crop to each agent's.
    """

    pillars: torch.Tensor
    thetas: torch.Tensor


class CropMaker:
    """Cuts crops near objects, where a detector's errors matter.

    Args:
        weights: weights of the pillar layer.
        grid: the network's.
        window: size along x and y, metres; limited to the grid, whole multiples of 8 pillars.
        seed: seed of the places.
    """

    #: A crop's centre lies up to this share of the window from an object.
    JITTER = 0.35

    def __init__(
        self, weights: PillarWeights, grid: BevGrid, window: tuple[float, float], seed: int
    ) -> None:
        self._weights = weights
        self._grid = grid
        size_x, size_y = (
            self._fitting(window[axis], grid.extent[1 - axis], grid.voxel_size[axis])
            for axis in (0, 1)
        )
        self._window = (size_x, size_y)
        self._rng = np.random.default_rng(seed)

    @staticmethod
    def _fitting(wanted: float, extent: float, voxel: float) -> float:
        step = PILLAR_MULTIPLE * voxel
        return max(1, int(min(wanted, extent) / step + 1e-6)) * step

    def __call__(self, frames: Iterable[CalibrationFrame], each: int) -> list[Crop]:
        """Cut ``each`` crops of every frame."""
        return [self._crop(frame) for frame in frames for _ in range(each)]

    def _crop(self, frame: CalibrationFrame) -> Crop:
        low_x, low_y, _, high_x, high_y, _ = self._grid.lidar_range
        centre = self._rng.uniform((low_x, low_y), (high_x, high_y)) * 0.5
        if len(frame.objects):
            jitter = self._rng.uniform(-1, 1, 2) * np.array(self._window) * self.JITTER
            centre = frame.objects[int(self._rng.integers(len(frame.objects)))] + jitter
        maps, thetas, ego_grid = [], [], None
        for cloud, matrix in zip(frame.clouds, frame.ego_to_agent, strict=True):
            place = matrix @ np.array([*centre, 0.0, 1.0])
            grid = crop_grid(self._grid, self._window, (float(place[0]), float(place[1])))
            ego_grid = ego_grid or grid
            features = PillarNet(self._weights, grid)(cloud).features
            maps.append(torch.from_numpy(features.copy()).permute(2, 0, 1))
            thetas.append(warp_theta(matrix, ego_grid, grid))
        return Crop(torch.stack(maps), torch.from_numpy(np.stack(thetas)))
