# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Moves objects within an older map to where they are by now.

A peer's map is as old as the link is slow. Its pose makes up for the peer's own motion, but objects
that moved stand where they were. Where their motion is known, the features in and around each are
taken along; the ground that they leave counts as not received, so that other agents decide there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import BevGrid

Features = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: Features around an object that move with it, metres beyond its box; a cell of each level is
#: added, since the network has looked that far.
MARGIN = 0.8


@dataclass(frozen=True)
class Displacement:
    """Motion of an object since a map was taken, in the map's frame.

    Attributes:
        x, y: where its centre was, metres.
        length, width: of its box, metres.
        yaw: heading, radians.
        dx, dy: how far it has moved since, metres.
    """

    x: float
    y: float
    length: float
    width: float
    yaw: float
    dx: float
    dy: float


def move_objects(
    levels: Sequence[Features],
    scores: Sequence[Scores],
    displacements: Sequence[Displacement],
    grid: BevGrid,
) -> tuple[tuple[Features, ...], tuple[Scores, ...]]:
    """Return copies of a pyramid in which objects are where they are by now.

    Args:
        levels: (h, w, C) of each level, uint8 or float32; level l has cells 2**l times the grid's.
        scores: (h, w) float32 of each level.
        displacements: motions of all objects that moved.
        grid: the grid of the finest scale.

    Returns:
        Levels and scores; the given ones themselves where nothing moved.
    """
    if not displacements:
        return tuple(levels), tuple(scores)
    moved_levels, moved_scores = [], []
    for number, (features, score) in enumerate(zip(levels, scores, strict=True)):
        cell = np.array(grid.cell_size)[::-1] * 2**number
        new_features, new_score = features.copy(), score.copy()
        for item in displacements:
            _vacate(new_score, item, cell, grid)
        for item in displacements:
            _carry(features, score, new_features, new_score, item, cell, grid)
        moved_levels.append(new_features)
        moved_scores.append(new_score)
    return tuple(moved_levels), tuple(moved_scores)


def _footprint(
    item: Displacement, dx: float, dy: float, cell: Float64, grid: BevGrid, shape: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Return the cells (N, 2) row, column whose centre lies in the object's grown box."""
    grown = np.array([item.length, item.width]) / 2 + MARGIN + cell.max() / 2
    radius = float(np.hypot(*grown))
    centre = np.array([item.x + dx, item.y + dy])
    origin = np.array(grid.lidar_range[:2])
    low = np.floor((centre - radius - origin) / cell).astype(int)
    high = np.ceil((centre + radius - origin) / cell).astype(int)
    columns = np.arange(max(low[0], 0), min(high[0], shape[1]))
    rows = np.arange(max(low[1], 0), min(high[1], shape[0]))
    if not len(rows) or not len(columns):
        return np.zeros((0, 2), np.int64)
    x = origin[0] + (columns + 0.5) * cell[0] - centre[0]
    y = origin[1] + (rows + 0.5) * cell[1] - centre[1]
    cos, sin = np.cos(item.yaw), np.sin(item.yaw)
    along = cos * x[None] + sin * y[:, None]
    across = cos * y[:, None] - sin * x[None]
    inside = (np.abs(along) <= grown[0]) & (np.abs(across) <= grown[1])
    found = np.argwhere(inside)
    return np.asarray(found + [rows[0], columns[0]], dtype=np.int64)  # noqa: RUF005


def _vacate(score: Scores, item: Displacement, cell: Float64, grid: BevGrid) -> None:
    rows, columns = _footprint(item, 0.0, 0.0, cell, grid, _shape(score)).T
    score[rows, columns] = 0.0


def _carry(
    features: Features,
    score: Scores,
    new_features: Features,
    new_score: Scores,
    item: Displacement,
    cell: Float64,
    grid: BevGrid,
) -> None:
    """Sample the old map, bilinearly, where each of the new cells was."""
    shape = _shape(score)
    cells = _footprint(item, item.dx, item.dy, cell, grid, shape)
    position = cells - np.array([item.dy / cell[1], item.dx / cell[0]])
    inside = ((position >= 0) & (position <= np.array(shape) - 1.0)).all(axis=1)
    cells, position = cells[inside], position[inside]
    first = np.floor(position).astype(np.int64)
    second = np.minimum(first + 1, np.array(shape) - 1)
    fraction = (position - first).astype(np.float32)
    total = np.zeros((len(cells), features.shape[2]), np.float32)
    total_score = np.zeros(len(cells), np.float32)
    for row, weight_row in ((first[:, 0], 1 - fraction[:, 0]), (second[:, 0], fraction[:, 0])):
        for col, weight_col in ((first[:, 1], 1 - fraction[:, 1]), (second[:, 1], fraction[:, 1])):
            weight = weight_row * weight_col
            total += weight[:, None] * features[row, col]
            total_score += weight * score[row, col]
    rows, columns = cells.T
    if features.dtype == np.uint8:
        total = np.rint(total)
    new_features[rows, columns] = total.astype(features.dtype)
    new_score[rows, columns] = total_score


def _shape(score: Scores) -> tuple[int, int]:
    return score.shape[0], score.shape[1]
