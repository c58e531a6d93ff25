# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SECOND: an encoder of sparse 3D convolutions in the place of the pillars (Yan et al., 2018).

Optional: needs spconv (``spconv-cu120`` on a GPU, ``spconv`` on a CPU, where it can only infer: its
gradients need a GPU). All that follows the encoder, from the codebook on, is the same network. Such
a network has no bundle: its encoder cannot be exported as ONNX. spconv is not among the test
requirements: it brings lark, which overwrites the lark-parser that ROS 2's wheels need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars.pillars import check_points
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork

#: Voxels along one cell of the BEV feature: two sparse convolutions halve the grid.
VOXELS_A_CELL = 4
#: Voxels over the whole height.
LAYERS = 24
_CHANNELS = (16, 32, 64)
_MOMENTUM = 0.01


class SecondError(ValueError):
    """What keeps the SECOND encoder from being built."""


def voxelize(
    clouds: Sequence[npt.NDArray[np.float32]], grid: BevGrid
) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int, int]]:
    """Average the points in every voxel.

    Args:
        clouds: one (P, 4) cloud an agent, each in its own LiDAR frame.
        grid: whose range is divided, into LAYERS layers and VOXELS_A_CELL voxels a cell and side.

    Returns:
        (M, 4) mean x, y, z, intensity; (M, 4) int32 agent, layer, row, column; the voxel grid's
        shape (layers, rows, columns).
    """
    rows, columns = (VOXELS_A_CELL * size for size in grid.shape)
    shape = (LAYERS, rows, columns)
    low = np.array(grid.lidar_range[:3], np.float32)
    high = np.array(grid.lidar_range[3:], np.float32)
    size = (high - low) / np.array([columns, rows, LAYERS], np.float32)
    features, places = [], []
    for agent, cloud in enumerate(clouds):
        points = check_points(cloud)
        cells = np.floor((points[:, :3] - low) / size).astype(np.int64)
        inside = ((cells >= 0) & (cells < [columns, rows, LAYERS])).all(axis=1)
        points, cells = points[inside], cells[inside]
        flat = (cells[:, 2] * rows + cells[:, 1]) * columns + cells[:, 0]
        voxels, member, counts = np.unique(flat, return_inverse=True, return_counts=True)
        sums = np.zeros((len(voxels), 4))
        np.add.at(sums, member, points[:, :4])
        features.append((sums / counts[:, None]).astype(np.float32))
        layer, rest = np.divmod(voxels, rows * columns)
        row, column = np.divmod(rest, columns)
        places.append(np.stack([np.full_like(layer, agent), layer, row, column], axis=1))
    return (
        torch.from_numpy(np.concatenate(features)),
        torch.from_numpy(np.concatenate(places).astype(np.int32)),
        shape,
    )


def _block(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.BatchNorm1d(channels, 1e-3, _MOMENTUM), nn.ReLU()]


class SecondEncoder(nn.Module):
    """Clouds to BEV features: sparse 3D convolutions, the layers then stacked as channels.

    Args:
        grid: of the BEV feature.

    Raises:
        SecondError: where spconv is not installed.
    """

    def __init__(self, grid: BevGrid) -> None:
        super().__init__()
        try:
            import spconv.pytorch as sparse
        except ImportError as error:
            raise SecondError(
                "the SECOND encoder needs spconv: install spconv-cu120, or spconv for the CPU"
            ) from error
        self._sparse: Any = sparse
        self.grid = grid
        low, middle, high = _CHANNELS
        self.blocks = sparse.SparseSequential(
            *_block(sparse.SubMConv3d(4, low, 3, padding=1, bias=False), low),
            *_block(sparse.SparseConv3d(low, middle, 3, 2, 1, bias=False), middle),
            *_block(sparse.SubMConv3d(middle, middle, 3, padding=1, bias=False), middle),
            *_block(sparse.SparseConv3d(middle, high, 3, 2, 1, bias=False), high),
            *_block(sparse.SubMConv3d(high, high, 3, padding=1, bias=False), high),
        )
        self.flatten = nn.Sequential(
            nn.Conv2d(high * LAYERS // VOXELS_A_CELL, 64, 1, bias=False),
            nn.BatchNorm2d(64, eps=1e-3, momentum=_MOMENTUM),
            nn.ReLU(),
        )

    def forward(self, clouds: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """Return (N, 64, H, W) of N clouds (P, 4), none of which needs a point in range."""
        features, places, shape = voxelize(clouds, self.grid)
        device = next(self.parameters()).device
        if len(features) == 0:
            depth = _CHANNELS[-1] * LAYERS // VOXELS_A_CELL
            empty = torch.zeros(len(clouds), depth, *self.grid.shape, device=device)
            return self.flatten(empty)
        voxels = self._sparse.SparseConvTensor(
            features.to(device), places.to(device), list(shape), len(clouds)
        )
        dense = self.blocks(voxels).dense()
        return self.flatten(dense.flatten(1, 2))


class SecondNetwork(QuantV2XNetwork):
    """The network with SECOND instead of pillars; the codebook and all behind it are the same."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.second = SecondEncoder(config.grid)
        del self.pillar_encoder, self.backbone

    def encode_points(self, points: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """Return the BEV feature (N, 64, H, W) of N clouds."""
        features: torch.Tensor = self.second(points)
        return features
