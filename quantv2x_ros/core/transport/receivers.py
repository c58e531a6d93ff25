# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who listens, and which cells of a sender's map they can use.

A station that listens sends, too, and its messages say where it is. All share one model, so that
its detection range is known without being told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.peers.peers import PeerField, PeerRefusedError
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.selection import BoolArray, cells_of_interest

#: How far a listener's range is taken beyond that of its boxes, metres: half a truck, what the
#: convolutions see around an object, and how far a car goes between two messages.
MARGIN = 10.0
#: A station that was not heard for so long listens no more, seconds.
GONE_AFTER = 1.0


@dataclass(eq=False)
class _Receiver:
    pose: npt.NDArray[np.float64] | None = None
    heard: float = -math.inf


class Receivers:
    """The stations heard lately, where they are, and what they want of this station's map.

    While there are more than are tracked, nothing is left out, so that nobody's wishes can be
    crowded out by made-up ones.
    """

    def __init__(
        self, grid: BevGrid, detection: DetectionConfig, registry: PeerRegistry | None = None
    ) -> None:
        """Start with nobody.

        Args:
            grid: the grid of the index maps.
            detection: has the range in which a receiver wants boxes.
            registry: of the stations; None for one of its own.
        """
        self._grid = grid
        self._range_x, self._range_y = usable_range(grid, detection)
        self._registry = PeerRegistry() if registry is None else registry
        self._receivers = PeerField(_Receiver)

    def hear(self, station_id: int, pose: npt.NDArray[np.float64] | None, now: float) -> None:
        """Note where a station is.

        Args:
            station_id: ETSI StationID of the receiver.
            pose: (4, 4) sensor-to-map; None for one that hardly knows itself where it is.
            now: seconds of a steady clock.
        """
        try:
            record = self._registry.admit(station_id, now)
        except PeerRefusedError:
            return  # the registry is crowded, see `wanted`
        receiver = self._receivers.of(record)
        receiver.pose, receiver.heard = pose, now

    def count(self, now: float) -> int:
        """Return how many stations were heard lately."""
        return len(self._heard(now))

    def wanted(self, pose: npt.NDArray[np.float64], now: float) -> BoolArray | None:
        """Return the cells that some receiver can use, (H, W); None for all.

        All are wanted while nobody is heard, since somebody may listen who does not send, while
        more are heard than can be told apart, and while it is not known where one of them is.

        Args:
            pose: (4, 4) sensor-to-map of this station.
            now: seconds of a steady clock.
        """
        poses = self.poses(now)
        if not poses or len(poses) < self.count(now) or self._registry.is_crowded(now, GONE_AFTER):
            return None
        return self.wanted_at(pose, poses)

    def poses(self, now: float) -> list[npt.NDArray[np.float64]]:
        """Return (4, 4) sensor-to-map of those heard lately who know where they are.

        Args:
            now: seconds of a steady clock.
        """
        return [heard.pose for heard in self._heard(now) if heard.pose is not None]

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

    def _heard(self, now: float) -> list[_Receiver]:
        """The stations that have not gone."""
        known = (self._receivers.find(record) for record in self._registry.tracked())
        return [r for r in known if r is not None and now - r.heard < GONE_AFTER]


def usable_range(grid: BevGrid, detection: DetectionConfig) -> tuple[float, float]:
    """Return how far ahead and to its sides a receiver can use peers' maps, metres.

    It detects objects so far, and beyond its grid has no cells to put anything into.
    """
    low_x, low_y, _, high_x, high_y, _ = grid.lidar_range
    return (
        min(detection.range_x, max(abs(low_x), abs(high_x))),
        min(detection.range_y, max(abs(low_y), abs(high_y))),
    )
