# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lies that a peer may tell: wrong poses, maps of elsewhere, invented cars.

A lie lasts: the same error or the same invented car through all frames of a scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import invert
from quantv2x_ros.evaluation.frame_state import Sent
from quantv2x_ros.inference.protocol import IndexArray

Matrix = npt.NDArray[np.float64]
Cell = tuple[int, int]

#: An invented car takes so many cells to each side of its middle from a car that the peer sees.
_PATCH = 4
#: It is put where the ego sees nothing within so many cells, so near to the ego [m]: there its free
#: ground is sure.
_CLEARANCE, _NEAREST, _FARTHEST = 4, 6.0, 25.0
#: Occupancy below which a cell is free, and score from which the peer's own car is copied.
_FREE, _SURE = 0.117, 0.6


@dataclass(frozen=True, eq=False)
class ClaimedSweep:
    """The sweep that a peer claims in one frame.

    Attributes:
        indices: Index map, (planes, H, W) uint8.
        pose: (4, 4) sensor-to-map pose.
    """

    indices: IndexArray
    pose: Matrix


@dataclass(frozen=True, eq=False)
class LieInput:
    """The input of a lie in one frame.

    Attributes:
        grid: Grid of all maps.
        background: (planes,) indices of empty cells.
        ego: Sweep that the ego sent.
        ego_occupancy: (H, W) occupancy that the ego sees.
        peer: Sweep that the peer would send.
        peer_alone: Detections of the peer without others.
        elsewhere: Sweep of an agent in another scenario; None without one.
    """

    grid: BevGrid
    background: npt.NDArray[np.uint8]
    ego: Sent
    ego_occupancy: npt.NDArray[np.float32]
    peer: Sent
    peer_alone: Detections
    elsewhere: IndexArray | None


class Lie(Protocol):
    """A lie that one peer tells through one scenario."""

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return the sweep that the peer claims; None where the lie is not possible."""


class Honest:
    """An honest peer."""

    def tell(self, scene: LieInput) -> ClaimedSweep:
        """Return the peer's true sweep."""
        return ClaimedSweep(scene.peer.indices, scene.peer.pose)


@dataclass(frozen=True)
class WrongPose:
    """A pose with the same error in all frames.

    Attributes:
        x: Shift along the map's x axis, metres.
        y: Shift along the map's y axis, metres.
        heading: Turn about the vertical axis of the sensor, degrees.
    """

    x: float
    y: float
    heading: float

    def tell(self, scene: LieInput) -> ClaimedSweep:
        """Return the peer's map with the wrong pose."""
        angle = np.radians(self.heading)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        pose = scene.peer.pose.copy()
        pose[:2, :3] = turn @ pose[:2, :3]
        pose[:2, 3] += self.x, self.y
        return ClaimedSweep(scene.peer.indices, pose)


class Elsewhere:
    """An index map of another scenario."""

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return the other scenario's map with the peer's pose."""
        return None if scene.elsewhere is None else ClaimedSweep(scene.elsewhere, scene.peer.pose)


class InventedCar:
    """A car of the peer's map, copied onto ground that the ego sees free, where it stays."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Store the generator of the place."""
        self._rng = rng
        self._tried = False
        self._patch: IndexArray | None = None
        self._place: npt.NDArray[np.float64] | None = None  # (4,) in the map

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return the peer's map with one more car; None without a car to copy or a place."""
        if not self._tried:
            self._tried = True
            self._patch, self._place = _car_of(scene), self._free_place(scene)
        if self._patch is None or self._place is None:
            return None
        middle = _cell(invert(scene.peer.pose) @ self._place, scene.grid)
        if middle is None:
            return None
        indices = scene.peer.indices.copy()
        indices[(slice(None), *_around(middle))] = self._patch
        return ClaimedSweep(indices, scene.peer.pose)

    def _free_place(self, scene: LieInput) -> npt.NDArray[np.float64] | None:
        """Return a place on ground that the ego sees free, (4,) in the map; None without one."""
        size = 2 * _CLEARANCE + 1
        hit = (scene.ego.indices != scene.background[:, None, None]).any(axis=0)
        seen = minimum_filter(hit, 7, mode="constant")
        free = seen & (maximum_filter(scene.ego_occupancy, size) < _FREE)
        y, x = scene.grid.cell_centres()
        distance = np.hypot(x[None, :], y[:, None])
        cells = np.argwhere(free & (distance > _NEAREST) & (distance < _FARTHEST))
        if not len(cells):
            return None
        row, column = cells[self._rng.integers(len(cells))]
        return scene.ego.pose @ np.array([x[column], y[row], 0.0, 1.0])


def _car_of(scene: LieInput) -> IndexArray | None:
    """Return the cells of the peer's first certain vehicle; None without one."""
    seen = scene.peer_alone
    for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True):
        middle = _cell(box[:3], scene.grid) if score > _SURE and label == 1 else None
        if middle is not None:
            return scene.peer.indices[(slice(None), *_around(middle))].copy()
    return None


def _cell(point: npt.NDArray[np.floating], grid: BevGrid) -> Cell | None:
    """Return the cell of a point if a patch around it lies in the grid; else None."""
    row = int((point[1] - grid.lidar_range[1]) / grid.cell_size[0])
    column = int((point[0] - grid.lidar_range[0]) / grid.cell_size[1])
    rows, columns = grid.shape
    fits = _PATCH <= row < rows - _PATCH and _PATCH <= column < columns - _PATCH
    return (row, column) if fits else None


def _around(cell: Cell) -> tuple[slice, slice]:
    row, column = cell
    return slice(row - _PATCH, row + _PATCH + 1), slice(column - _PATCH, column + _PATCH + 1)
