# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cells of an index map are worth their bytes: near objects, and where somebody looks.

A cell that is left out is sent as background, which takes next to no bytes. Spatial selection by
occupancy follows Where2comm (arXiv 2209.12836); here the codes themselves say how likely an object
is, so that a sender needs no detector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter

from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_points

IndexArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

#: A cell is as interesting as the most interesting one up to so many rows and columns away: an
#: object's features lie around it.
REACH = 2


def occupied_cells(indices: IndexArray, background: IndexArray) -> BoolArray:
    """Cells of (planes, H, W) that do not hold the background's codes (planes,), (H, W)."""
    occupied: BoolArray = (indices != background[:, None, None]).any(axis=0)
    return occupied


def object_evidence(
    indices: IndexArray, background: IndexArray, model: IndexModel | None
) -> npt.NDArray[np.float32]:
    """Return the evidence of an object near each cell, (H, W) logits.

    Args:
        indices: (planes, H, W) uint8.
        background: (planes,) codes of empty cells.
        model: what the codes mean; without one, a cell with k planes that differ from the
            background has k - planes.
    """
    if model is None:
        differing = (indices != background[:, None, None]).sum(axis=0)
        evidence = (differing - len(indices)).astype(np.float32)
    else:
        evidence = np.zeros(indices.shape[1:], np.float32)
        for table, plane in zip(model.occupancy, indices, strict=True):
            evidence += table[plane]
    spread: npt.NDArray[np.float32] = maximum_filter(evidence, 2 * REACH + 1)
    return spread


def cells_in_range(grid: BevGrid, limit: float) -> BoolArray:
    """Cells whose centre is at most so many metres from the sensor, (H, W)."""
    x, y = _centres(grid)
    near: BoolArray = np.hypot(x, y) <= limit
    return near


def cells_of_interest(
    grid: BevGrid,
    sender_to_receivers: Sequence[npt.NDArray[np.float64]],
    range_x: float,
    range_y: float,
) -> BoolArray:
    """Cells that some receiver can use: within its detection range, (H, W).

    Args:
        grid: the grid of the sender's map.
        sender_to_receivers: (4, 4) transforms from the sender's frame to each receiver's.
        range_x: a receiver detects objects up to so far ahead and behind, metres.
        range_y: and so far to its sides, metres.
    """
    x, y = _centres(grid)
    points = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    wanted = np.zeros(x.size, np.bool_)
    for transform in sender_to_receivers:
        seen = transform_points(points, transform)
        wanted |= (np.abs(seen[:, 0]) <= range_x) & (np.abs(seen[:, 1]) <= range_y)
    return wanted.reshape(x.shape)


def both(one: BoolArray | None, other: BoolArray | None) -> BoolArray | None:
    """Cells (H, W) that are in both selections; None selects all."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def clear_cells(indices: IndexArray, keep: BoolArray, background: IndexArray) -> IndexArray:
    """A copy of a map (planes, H, W) with the background in all cells but those to keep (H, W)."""
    cleared: IndexArray = np.where(keep, indices, background[:, None, None])
    return cleared


def _centres(grid: BevGrid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """X and y of the cells' centres, (H, W) metres."""
    y, x = grid.cell_centres()
    return np.broadcast_to(x, grid.shape), np.broadcast_to(y[:, None], grid.shape)
