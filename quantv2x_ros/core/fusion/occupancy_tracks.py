# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How objects in a peer's view move, from the occupancy of its last sweeps.

No detector runs for it: connected cells of high occupancy are the objects, paired from sweep to
sweep (Hungarian method), and a line through each one's last places, in the map and by the sweeps'
own stamps, is its velocity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label
from scipy.optimize import linear_sum_assignment

from quantv2x_ros.core.fusion.motion_compensation import Displacement
from quantv2x_ros.core.geometry.grid import BevGrid

Float64 = npt.NDArray[np.float64]

#: Longer than this is no vehicle, but several; metres.
_LARGEST = 14.0


@dataclass(frozen=True, eq=False)
class Region:
    """Connected occupied cells.

    Attributes:
        centre: (2,) x, y, weighted by occupancy, metres, in the frame of the view.
        points: (N, 2) x, y of the cells' centres, metres.
    """

    centre: Float64
    points: Float64


def occupied_regions(
    occupancy: npt.NDArray[np.float32], grid: BevGrid, threshold: float
) -> list[Region]:
    """Return the connected regions above a threshold, at most as large as a truck.

    Args:
        occupancy: (H, W) probability.
        grid: the grid of the view.
        threshold: least occupancy.
    """
    labels, _ = label(occupancy > threshold)
    y, x = grid.cell_centres()
    regions = []
    for number, window in enumerate(find_objects(labels), start=1):
        inner = labels[window] == number
        rows, columns = np.nonzero(inner)
        points = np.stack([x[columns + window[1].start], y[rows + window[0].start]], axis=1)
        if np.ptp(points, axis=0).max() > _LARGEST:
            continue
        weights = occupancy[window][inner].astype(np.float64)
        regions.append(Region(weights @ points / weights.sum(), points))
    return regions


@dataclass(frozen=True)
class TrackSettings:
    """Settings of the tracker that estimates motion.

    Attributes:
        threshold: occupancy of an object's cells.
        gate: farthest that an object is found from where it should be, metres.
        max_speed: greatest speed of a new object, whose velocity is not known, m/s.
        places: last places of an object that count.
        min_places: fewer tell no velocity.
        min_speed: slower ones are taken to stand, m/s.
        max_residual: root mean square distance of the places from the line, metres.
    """

    threshold: float = 0.3
    gate: float = 1.5
    max_speed: float = 20.0
    places: int = 5
    min_places: int = 3
    min_speed: float = 1.5
    max_residual: float = 0.5


@dataclass(eq=False)
class _Track:
    stamps: list[int] = field(default_factory=list)
    centres: list[Float64] = field(default_factory=list)
    region: Region | None = None

    def line(self) -> tuple[Float64, Float64, float]:
        """Return the place at the last stamp, the velocity, and the residual."""
        times = (np.array(self.stamps, np.float64) - self.stamps[-1]) / 1e9
        places = np.stack(self.centres)
        design = np.stack([np.ones_like(times), times], axis=1)
        solution, *_ = np.linalg.lstsq(design, places, rcond=None)
        gaps = places - design @ solution
        return solution[0], solution[1], float(np.sqrt((gaps**2).sum(axis=1).mean()))


class OccupancyTracks:
    """The moving objects of one peer."""

    def __init__(self, settings: TrackSettings, grid: BevGrid) -> None:
        """Start without any.

        Args:
            settings: how.
            grid: the grid of the peer's views.
        """
        self._settings = settings
        self._grid = grid
        self._tracks: list[_Track] = []
        self._stamp_ns: int | None = None

    def add(self, occupancy: npt.NDArray[np.float32], pose: Float64, stamp_ns: int) -> None:
        """Take the peer's next sweep; one that is not newer than the last is ignored.

        Args:
            occupancy: (H, W) probability.
            pose: (4, 4) sensor-to-map.
            stamp_ns: time of the sweep.
        """
        if self._stamp_ns is not None and stamp_ns <= self._stamp_ns:
            return
        settings = self._settings
        regions = occupied_regions(occupancy, self._grid, settings.threshold)
        centres = np.array([region.centre for region in regions]).reshape(-1, 2)
        centres = centres @ pose[:2, :2].T + pose[:2, 3]
        pairs = self._pair(centres, stamp_ns)
        tracks = []
        for number, region in enumerate(regions):
            track = self._tracks[pairs[number]] if number in pairs else _Track()
            track.stamps = [*track.stamps, stamp_ns][-settings.places :]
            track.centres = [*track.centres, centres[number]][-settings.places :]
            track.region = region
            tracks.append(track)
        self._tracks = tracks
        self._stamp_ns = stamp_ns

    def displacements(self, pose: Float64, now_ns: int) -> list[Displacement]:
        """Return how the objects of the last sweep have moved since.

        Args:
            pose: (4, 4) sensor-to-map of the last sweep.
            now_ns: time to which they are moved.

        Returns:
            In the frame of the last sweep.
        """
        if self._stamp_ns is None or now_ns <= self._stamp_ns:
            return []
        seconds = (now_ns - self._stamp_ns) / 1e9
        moved = []
        for track in self._tracks:
            velocity = self._velocity(track)
            if velocity is None or track.region is None:
                continue
            local = pose[:2, :2].T @ velocity
            moved.append(_displacement(track.region, local, seconds))
        return moved

    def _velocity(self, track: _Track) -> Float64 | None:
        """Return a track's velocity in the map, m/s; None where it stands or is not known."""
        settings = self._settings
        if len(track.stamps) < settings.min_places:
            return None
        _, velocity, residual = track.line()
        speed = float(np.hypot(*velocity))
        if residual > settings.max_residual or not settings.min_speed <= speed <= 40.0:
            return None
        return velocity

    def _pair(self, centres: Float64, stamp_ns: int) -> dict[int, int]:
        """Return region number to track number."""
        if not self._tracks or not len(centres) or self._stamp_ns is None:
            return {}
        seconds = (stamp_ns - self._stamp_ns) / 1e9
        expected, gates = [], []
        for track in self._tracks:
            known = len(track.stamps) >= 2
            place, velocity = track.line()[:2] if known else (track.centres[-1], np.zeros(2))
            expected.append(place + velocity * seconds)
            gates.append(self._settings.gate + (0 if known else self._settings.max_speed * seconds))
        gaps = np.linalg.norm(np.stack(expected)[:, None] - centres[None], axis=2)
        gate = np.array(gates)[:, None]
        rows, columns = linear_sum_assignment(np.where(gaps <= gate, gaps, 1e6))
        return {
            int(column): int(row)
            for row, column in zip(rows, columns, strict=True)
            if gaps[row, column] <= gate[row, 0]
        }


def _displacement(region: Region, velocity: Float64, seconds: float) -> Displacement:
    """A region as a box along its motion."""
    yaw = float(np.arctan2(velocity[1], velocity[0]))
    axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    local = region.points @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    centre = axes.T @ ((low + high) / 2)
    dx, dy = velocity * seconds
    length, width = high - low
    return Displacement(
        float(centre[0]), float(centre[1]), float(length), float(width), yaw, float(dx), float(dy)
    )
