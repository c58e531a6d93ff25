# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bird's-eye-view grid that pillars, features, indices and anchors share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: The published V2X-Real configuration (docs/network.md, "Grid"; arXiv 2509.03704).
V2X_REAL_RANGE = (-140.8, -40.0, -3.0, 140.8, 40.0, 1.0)
V2X_REAL_VOXEL = (0.4, 0.4, 4.0)

#: Three pyramid scales halve the feature map twice and the encoder once.
PILLAR_MULTIPLE = 8


@dataclass(frozen=True)
class BevGrid:
    """A regular grid over the ground plane in an agent's own LiDAR frame.

    Rows run along y (left), columns along x (forward).

    Attributes:
        lidar_range: x, y, z minimum then x, y, z maximum, metres.
        voxel_size: size of a pillar in x, y and z, metres.
        stride: pillars per BEV feature cell, along each axis.

    Raises:
        ValueError: for a range that is empty or not finite, a voxel that does not divide it, or a
            pillar grid whose sides are not multiples of 8 (the three pyramid scales would not fit).
    """

    lidar_range: tuple[float, float, float, float, float, float] = V2X_REAL_RANGE
    voxel_size: tuple[float, float, float] = V2X_REAL_VOXEL
    stride: int = 2

    def __post_init__(self) -> None:
        """Validate; see the class."""
        object.__setattr__(self, "lidar_range", tuple(float(v) for v in self.lidar_range))
        object.__setattr__(self, "voxel_size", tuple(float(v) for v in self.voxel_size))
        if len(self.lidar_range) != 6 or not np.isfinite(self.lidar_range).all():
            raise ValueError(
                f"lidar_range: got {self.lidar_range}, expected six finite numbers "
                "(x, y, z minimum, then x, y, z maximum)"
            )
        if len(self.voxel_size) != 3 or not all(0 < v < np.inf for v in self.voxel_size):
            raise ValueError(f"voxel_size: got {self.voxel_size}, expected three positive numbers")
        if self.stride not in (1, 2, 4):
            raise ValueError(f"stride: got {self.stride}, allowed are 1, 2 and 4")
        for axis, name in enumerate("xyz"):
            low, high = self.lidar_range[axis], self.lidar_range[axis + 3]
            count = (high - low) / self.voxel_size[axis]
            if high <= low or abs(count - round(count)) > 1e-3:
                raise ValueError(
                    f"lidar_range in {name}: {low} to {high} is not a positive multiple of the "
                    f"voxel size {self.voxel_size[axis]}"
                )
        rows, columns = self.pillar_shape
        if rows % PILLAR_MULTIPLE or columns % PILLAR_MULTIPLE:
            raise ValueError(
                f"pillar grid: {rows} rows x {columns} columns, but both must be multiples of "
                f"{PILLAR_MULTIPLE}; extend lidar_range to the next multiple"
            )

    @property
    def pillar_shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x) of the pillar grid."""
        low_x, low_y, _, high_x, high_y, _ = self.lidar_range
        return (
            round((high_y - low_y) / self.voxel_size[1]),
            round((high_x - low_x) / self.voxel_size[0]),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows H (y) and columns W (x) of the BEV feature map."""
        rows, columns = self.pillar_shape
        return rows // self.stride, columns // self.stride

    @property
    def cell_size(self) -> tuple[float, float]:
        """Size of a BEV cell along y and x, metres."""
        return self.voxel_size[1] * self.stride, self.voxel_size[0] * self.stride

    @property
    def extent(self) -> tuple[float, float]:
        """Extent of the grid along y (H_m) and x (W_m), metres."""
        low_x, low_y, _, high_x, high_y, _ = self.lidar_range
        return high_y - low_y, high_x - low_x

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the grid, (y, x), metres in the LiDAR frame."""
        low_x, low_y, _, high_x, high_y, _ = self.lidar_range
        return (low_y + high_y) / 2, (low_x + high_x) / 2

    def cell_centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the y of every row (H,) and the x of every column (W,), metres."""
        rows, columns = self.shape
        size_y, size_x = self.cell_size
        y = self.lidar_range[1] + (np.arange(rows, dtype=np.float64) + 0.5) * size_y
        x = self.lidar_range[0] + (np.arange(columns, dtype=np.float64) + 0.5) * size_x
        return y, x

    def footprint(self, pose: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the corners (4, 3) of the grid's area, at the sensor's height.

        Args:
            pose: (4, 4) from this grid's frame to the one that the corners are wanted in.
        """
        low_x, low_y, _, high_x, high_y, _ = self.lidar_range
        return area_corners((low_x, low_y, high_x, high_y), pose)


def area_corners(
    extent: tuple[float, float, float, float], pose: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the corners (4, 3) of a rectangle in another frame, in the order around it.

    Args:
        extent: x and y minimum, then maximum, metres, at z = 0 of its own frame.
        pose: (4, 4) from its frame to the other one.
    """
    low_x, low_y, high_x, high_y = extent
    corners = np.array(
        [[low_x, low_y, 0], [high_x, low_y, 0], [high_x, high_y, 0], [low_x, high_y, 0]], np.float64
    )
    moved: npt.NDArray[np.float64] = corners @ pose[:3, :3].T + pose[:3, 3]
    return moved
