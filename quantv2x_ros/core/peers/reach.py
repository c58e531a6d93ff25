# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a peer's map can be of use to the ego, by where both are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.whereabouts import place_text
from quantv2x_ros.core.receiver_settings import ReceiverSettings

Float64 = npt.NDArray[np.float64]

#: No radio reaches so far: another map, metres.
OTHER_MAP = 10_000.0


class OutOfReachError(ValueError):
    """A message of a station whose map does not meet the ego's.

    Attributes:
        reason: ``out_of_range``, or ``other_map`` where the distance cannot be true.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass
class Reach:
    """See the module.

    Attributes:
        grid: grid of all stations' maps.
        max_distance: greatest distance of a peer from the ego on the ground, metres.
    """

    grid: BevGrid
    max_distance: float = ReceiverSettings.max_peer_distance

    def check(self, station_id: int, pose: Float64, ego_pose: Float64) -> None:
        """Check that a peer's map meets the ego's.

        Args:
            station_id: ETSI StationID of the peer.
            pose: (4, 4) of its map's frame in the common map, metres.
            ego_pose: (4, 4) of the ego's.

        Raises:
            OutOfReachError: with both values.
        """
        distance = float(np.linalg.norm(pose[:2, 3] - ego_pose[:2, 3]))
        name = f"station {station_id}"
        if distance > OTHER_MAP:
            raise OutOfReachError(
                "other_map",
                f"{name} says it is {distance / 1000:,.0f} km away: at {place_text(pose[:3, 3])}, "
                f"this station at {place_text(ego_pose[:3, 3])}. Their maps have the same name and "
                "different origins; let all stations localize in one map",
            )
        if distance > self.max_distance:
            raise OutOfReachError(
                "out_of_range",
                f"{name} is {distance:,.0f} m away, allowed are {self.max_distance:,.0f} m",
            )
        if not self.overlaps(pose, ego_pose):
            raise OutOfReachError(
                "out_of_range", f"{name} is {distance:,.0f} m away, its map does not meet the own"
            )

    def overlaps(self, pose: Float64, other: Float64) -> bool:
        """Return whether two stations' maps share ground: none of their sides parts them.

        Args:
            pose: (4, 4) of a map's frame in the common map, metres.
            other: the same of the other.
        """
        corners = [self._corners(each) for each in (pose, other)]
        for each in corners:
            for side in (each[1] - each[0], each[3] - each[0]):
                first, second = (points @ side for points in corners)
                if first.max() <= second.min() or second.max() <= first.min():
                    return False
        return True

    def _corners(self, pose: Float64) -> Float64:
        """(4, 2) corners of a station's map on the ground, in order, metres."""
        x0, y0, _, x1, y1, _ = self.grid.lidar_range
        local = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        yaw = np.arctan2(pose[1, 0], pose[0, 0])
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        corners: Float64 = local @ turn.T + pose[:2, 3]
        return corners
