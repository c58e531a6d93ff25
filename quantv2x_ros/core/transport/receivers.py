# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who listens, and which cells of a sender's map they can use.

A station that listens sends, too, and its messages say where it is. All share one model, so that
its detection range is known without being told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.transport.selection import BoolArray, cells_of_interest

#: How far a listener's range is taken beyond that of its boxes, metres: half a truck, what the
#: convolutions see around an object, and how far a car goes between two messages.
MARGIN = 10.0
#: A station that was not heard for so long has gone, seconds.
FORGET_AFTER = 1.0
#: Stations that are told apart. While there are more, nothing is left out, so that nobody's wishes
#: can be crowded out by made-up ones.
MAX_RECEIVERS = 32


@dataclass(frozen=True, eq=False)
class _Receiver:
    pose: npt.NDArray[np.float64] | None
    heard: float


class Receivers:
    """The stations heard lately, where they are, and what they want of this station's map."""

    def __init__(self, grid: BevGrid, detection: DetectionConfig) -> None:
        """Start with nobody.

        Args:
            grid: the grid of the index maps.
            detection: has the range in which a receiver wants boxes.
        """
        self._grid = grid
        self._range_x, self._range_y = usable_range(grid, detection)
        self._receivers: dict[int, _Receiver] = {}
        self._crowded_at = -np.inf

    def hear(self, station_id: int, pose: npt.NDArray[np.float64] | None, now: float) -> None:
        """Note where a station is.

        Args:
            station_id: ETSI StationID of the receiver.
            pose: (4, 4) sensor-to-map; None for one that hardly knows itself where it is.
            now: seconds of a steady clock.
        """
        if station_id not in self._receivers:
            self._forget(now)
            if len(self._receivers) >= MAX_RECEIVERS:
                self._crowded_at = now
                return
        self._receivers[station_id] = _Receiver(pose, now)

    def count(self, now: float) -> int:
        """Return how many stations were heard lately."""
        self._forget(now)
        return len(self._receivers)

    def wanted(self, pose: npt.NDArray[np.float64], now: float) -> BoolArray | None:
        """Return the cells that some receiver can use, (H, W); None for all.

        All are wanted while nobody is heard, since somebody may listen who does not send, while
        more are heard than can be told apart, and while it is not known where one of them is.

        Args:
            pose: (4, 4) sensor-to-map of this station.
            now: seconds of a steady clock.
        """
        poses = self.poses(now)
        if not poses or len(poses) < self.count(now) or now - self._crowded_at < FORGET_AFTER:
            return None
        return self.wanted_at(pose, poses)

    def poses(self, now: float) -> list[npt.NDArray[np.float64]]:
        """Return (4, 4) sensor-to-map of those heard lately who know where they are.

        Args:
            now: seconds of a steady clock.
        """
        self._forget(now)
        return [heard.pose for heard in self._receivers.values() if heard.pose is not None]

    def wanted_at(
        self, pose: npt.NDArray[np.float64], poses: Sequence[npt.NDArray[np.float64]]
    ) -> BoolArray:
        """Return the cells that receivers can use, (H, W).

        Args:
            pose: (4, 4) sensor-to-map of this station.
            poses: (4, 4) sensor-to-map of each receiver.
        """
        transforms = [transform_between(pose, receiver) for receiver in poses]
        return cells_of_interest(
            self._grid, transforms, self._range_x + MARGIN, self._range_y + MARGIN
        )

    def clear(self) -> None:
        """Forget everyone, as after a jump in time."""
        self._receivers.clear()
        self._crowded_at = -np.inf

    def _forget(self, now: float) -> None:
        """Drop the stations that have gone."""
        gone = [name for name, r in self._receivers.items() if now - r.heard >= FORGET_AFTER]
        for name in gone:
            del self._receivers[name]


def usable_range(grid: BevGrid, detection: DetectionConfig) -> tuple[float, float]:
    """Return how far ahead and to its sides a receiver can use peers' maps, metres.

    It detects objects so far, and beyond its grid has no cells to put anything into.
    """
    low_x, low_y, _, high_x, high_y, _ = grid.lidar_range
    return (
        min(detection.range_x, max(abs(low_x), abs(high_x))),
        min(detection.range_y, max(abs(low_y), abs(high_y))),
    )
