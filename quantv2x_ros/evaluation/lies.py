# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a peer may tell of itself that is not so: wrong poses, maps of elsewhere, invented cars.

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
    """What a peer says at one time.

    Attributes:
        indices: (planes, H, W) uint8.
        pose: (4, 4) sensor-to-map.
    """

    indices: IndexArray
    pose: Matrix


@dataclass(frozen=True, eq=False)
class LieInput:
    """What a lie is made from, at one time.

    Attributes:
        grid: Of all maps.
        background: (planes,) codes of empty cells.
        ego: What the ego sent.
        ego_occupancy: (H, W), as the ego sees it.
        peer: What the peer would send.
        peer_alone: What the peer sees by itself.
        elsewhere: What an agent sent in another scenario; None where there is none.
    """

    grid: BevGrid
    background: npt.NDArray[np.uint8]
    ego: Sent
    ego_occupancy: npt.NDArray[np.float32]
    peer: Sent
    peer_alone: Detections
    elsewhere: IndexArray | None


class Lie(Protocol):
    """One peer's way to lie through one scenario."""

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return what the peer says; None where there is nothing to lie with."""


class Honest:
    """No lie."""

    def tell(self, scene: LieInput) -> ClaimedSweep:
        """Return what the peer sends."""
        return ClaimedSweep(scene.peer.indices, scene.peer.pose)


@dataclass(frozen=True)
class WrongPose:
    """A pose that is off by the same through all frames.

    Attributes:
        x: Shift in the map, metres.
        y: The same along the other axis.
        heading: Turn about the vertical where the sensor stands, degrees.
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
    """The map of another scenario."""

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return it with the peer's pose."""
        return None if scene.elsewhere is None else ClaimedSweep(scene.elsewhere, scene.peer.pose)


class InventedCar:
    """A car that the peer sees, copied onto ground that the ego sees free; it stays there."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Take what draws the place."""
        self._rng = rng
        self._tried = False
        self._patch: IndexArray | None = None
        self._place: npt.NDArray[np.float64] | None = None  # (4,) in the map

    def tell(self, scene: LieInput) -> ClaimedSweep | None:
        """Return the peer's map with one car more; None without a car to copy or a place for it."""
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
        """A place on the ground that the ego sees free, (4,) in the map; None without one."""
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
    """The cells of the first vehicle that the peer is sure of; None without one."""
    seen = scene.peer_alone
    for box, score, label in zip(seen.boxes, seen.scores, seen.labels, strict=True):
        middle = _cell(box[:3], scene.grid) if score > _SURE and label == 1 else None
        if middle is not None:
            return scene.peer.indices[(slice(None), *_around(middle))].copy()
    return None


def _cell(point: npt.NDArray[np.floating], grid: BevGrid) -> Cell | None:
    """The cell of a point if a patch around it lies within the grid."""
    row = int((point[1] - grid.lidar_range[1]) / grid.cell_size[0])
    column = int((point[0] - grid.lidar_range[0]) / grid.cell_size[1])
    rows, columns = grid.shape
    fits = _PATCH <= row < rows - _PATCH and _PATCH <= column < columns - _PATCH
    return (row, column) if fits else None


def _around(cell: Cell) -> tuple[slice, slice]:
    row, column = cell
    return slice(row - _PATCH, row + _PATCH + 1), slice(column - _PATCH, column + _PATCH + 1)
