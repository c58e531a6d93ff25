# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Does a peer's map agree with what the ego sees in their common view?

Where an agent's sweep has points on the ground and its occupancy is low, it sees free ground. A
peer that claims objects on the ego's free ground, or sees free ground where the ego sees objects,
tells of another place than its pose says, or lies. A single object that the peer claims on the
ego's free ground is the mark of an injected one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label, maximum_filter, minimum_filter

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import invert

Float64 = npt.NDArray[np.float64]

#: A cell from which an object is claimed, and one that counts as empty: occupancies.
_CLAIMED, _EMPTY = 0.42, 0.16
#: A whole object: its cells, its best cell, and what the other must see at most in all of them.
_OBJECT_CELL, _OBJECT_PEAK, _OBJECT_EMPTY = 0.33, 0.5, 0.09
_OBJECT_MIN_CELLS = 3
#: Farther than this from the other's sensor its free ground is not sure, metres.
_CELL_RANGE, _OBJECT_RANGE = 35.0, 30.0


@dataclass(frozen=True, eq=False)
class OccupancyView:
    """Occupied and free cells of one agent, in its own grid.

    Attributes:
        occupancy: (H, W) float32, probability that an object covers the cell.
        highest: (H, W) the highest occupancy of the cell and its eight neighbours.
        observed: (H, W) bool, whether points fell into the cell and its eight neighbours.
    """

    occupancy: npt.NDArray[np.float32]
    highest: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        scores: npt.NDArray[np.float32],
        score_gain: float,
        indices: npt.NDArray[np.uint8],
        background: npt.NDArray[np.uint8],
    ) -> OccupancyView:
        """Read a sweep's finest scores and its indices.

        Args:
            scores: (H, W) of the pyramid's finest level; 0 where nothing was received.
            score_gain: factor in them.
            indices: (planes, H, W) uint8.
            background: (planes,) uint8, codes of a cell without points.
        """
        occupancy = np.asarray(scores / score_gain, dtype=np.float32)
        hit = (indices != background[:, None, None]).any(axis=0)
        return cls(
            occupancy,
            maximum_filter(occupancy, size=3, mode="constant"),
            minimum_filter(hit, size=3, mode="constant"),
        )


@dataclass(frozen=True)
class Evidence:
    """Agreement of two agents' views.

    Attributes:
        compared: cells claimed occupied by one that the other observes.
        contradicted: those of them that the other sees empty.
        false_objects: objects of the peer that lie wholly on the ego's free ground.
    """

    compared: int
    contradicted: int
    false_objects: int


def compare_views(
    ego: OccupancyView, peer: OccupancyView, peer_to_ego: Float64, grid: BevGrid
) -> Evidence:
    """Compare a peer's view with the ego's, both ways.

    Args:
        ego: the ego's.
        peer: the peer's.
        peer_to_ego: (4, 4), metres.
        grid: the grid of both views.
    """
    ego_to_peer = invert(peer_to_ego)
    claimed, denied = _contradictions(peer, ego, peer_to_ego, grid)
    seen, missed = _contradictions(ego, peer, ego_to_peer, grid)
    objects = _false_objects(peer, ego, peer_to_ego, grid)
    return Evidence(claimed + seen, denied + missed, objects)


def _places(
    cells: npt.NDArray[np.int64], transform: Float64, grid: BevGrid
) -> tuple[npt.NDArray[np.int64], Float64, npt.NDArray[np.bool_]]:
    """Where cells (N, 2) lie in another grid: cells (N, 2), distance (N,), and whether inside."""
    y, x = grid.cell_centres()
    points = np.stack([x[cells[:, 1]], y[cells[:, 0]]], axis=1)
    moved = points @ transform[:2, :2].T + transform[:2, 3]
    origin = np.array([grid.lidar_range[1], grid.lidar_range[0]])
    places = np.floor((moved[:, ::-1] - origin) / np.array(grid.cell_size)).astype(np.int64)
    inside = ((places >= 0) & (places < np.array(grid.shape))).all(axis=1)
    return places, np.hypot(moved[:, 0], moved[:, 1]), inside


def _contradictions(
    claimer: OccupancyView, observer: OccupancyView, transform: Float64, grid: BevGrid
) -> tuple[int, int]:
    """Count the claimed cells that the observer sees, and those of them that it sees empty."""
    cells = np.argwhere(claimer.occupancy > _CLAIMED)
    places, distance, inside = _places(cells, transform, grid)
    rows, columns = places[inside & (distance < _CELL_RANGE)].T
    observed = observer.observed[rows, columns]
    empty = observed & (observer.highest[rows, columns] < _EMPTY)
    return int(observed.sum()), int(empty.sum())


def _false_objects(
    claimer: OccupancyView, observer: OccupancyView, transform: Float64, grid: BevGrid
) -> int:
    """Count the claimer's objects that lie wholly on ground that the observer sees free."""
    labels, _ = label(claimer.occupancy > _OBJECT_CELL)
    false = 0
    for number, window in enumerate(find_objects(labels), start=1):
        inner = labels[window] == number
        peak = claimer.occupancy[window][inner].max()
        if inner.sum() < _OBJECT_MIN_CELLS or peak < _OBJECT_PEAK:
            continue
        cells = np.argwhere(inner) + np.array([window[0].start, window[1].start])
        places, distance, inside = _places(cells, transform, grid)
        if not inside.all() or distance.max() > _OBJECT_RANGE:
            continue
        rows, columns = places.T
        is_seen = observer.observed[rows, columns].mean() >= 0.95
        false += bool(is_seen and observer.highest[rows, columns].max() < _OBJECT_EMPTY)
    return false


@dataclass(frozen=True)
class ConsistencySettings:
    """When a peer is flagged.

    Attributes:
        memory: share of a frame's evidence that is left in the next frame.
        max_share: contradicted share of the compared cells above which a peer is flagged.
        min_cells: fewer compared cells prove nothing.
        object_frames: frames of late with a false object from which a peer is flagged.
        window: frames that "of late" means.
    """

    memory: float = 0.8
    max_share: float = 0.25
    min_cells: float = 30.0
    object_frames: int = 4
    window: int = 6

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if not 0.0 <= self.memory < 1.0:
            raise ValueError(f"memory: got {self.memory}, allowed are 0 to below 1")
        if not 0.0 < self.max_share < 1.0:
            raise ValueError(f"max_share: got {self.max_share}, allowed are 0 to 1")
        if not 1 <= self.object_frames <= self.window <= 64:
            raise ValueError(
                f"object_frames and window: got {self.object_frames} of {self.window} frames, "
                "expected 1 or more of at most 64"
            )


class PeerConsistency:
    """The evidence against one peer over the last frames."""

    def __init__(self, settings: ConsistencySettings) -> None:
        """Start without any."""
        self._settings = settings
        self._compared = 0.0
        self._contradicted = 0.0
        self._objects: list[bool] = []

    @property
    def share(self) -> float:
        """Contradicted share of the cells compared of late; 0 where there are too few."""
        if self._compared < self._settings.min_cells:
            return 0.0
        return self._contradicted / self._compared

    @property
    def suspicion(self) -> str:
        """Why the peer is flagged; empty where it is not."""
        settings = self._settings
        if self.share > settings.max_share:
            return (
                f"{100 * self.share:.0f} % of the common view contradicts the ego's, allowed are "
                f"{100 * settings.max_share:.0f} %"
            )
        frames = sum(self._objects)
        if frames >= settings.object_frames:
            return (
                f"objects on ground that the ego sees free in {frames} of {len(self._objects)} "
                f"frames, allowed are {settings.object_frames - 1}"
            )
        return ""

    def add(self, evidence: Evidence) -> None:
        """Take a frame's evidence."""
        memory = self._settings.memory
        self._compared = memory * self._compared + evidence.compared
        self._contradicted = memory * self._contradicted + evidence.contradicted
        self._objects = [*self._objects, evidence.false_objects > 0][-self._settings.window :]
