# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which way a station's grid lies: along the roads of those who listen.

A grid is 281.6 m long and 80 m wide (docs/network.md, "Grid"). A vehicle's lies along its road. A
roadside unit that looks across the road covers 40 m of it to either side, and what its LiDAR sees
further along the road is lost. The published networks put peers' clouds into the ego's frame before
they encode them, so that all share the ego's grid; a station that sends one map to many cannot. It
can turn its cloud about the vertical axis of its sensor, though, and send the pose of the turned
grid: receivers need not know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.points import moved_points
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.core.transport.receivers import usable_range

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: What the frame of a turned grid is called behind the name of its LiDAR's.
TURNED_SUFFIX = "_grid"
#: A grid is turned anew only for so much more of the receivers' ranges, in ranges of one receiver:
#: vehicles that steer a little do not swing it.
LEAST_GAIN = 0.05
#: Distance of the places that are counted in a receiver's range, metres.
SPACING = 5.0
#: Of more receivers the nearest count: the time taken grows with the square of their number.
MOST_RECEIVERS = 8


class GridTurn:
    """Turns a station's grid towards its receivers; remembers how it lies."""

    def __init__(self, grid: BevGrid, detection: DetectionConfig) -> None:
        """Start with the grid as the sensor lies.

        Args:
            grid: the grid of the station's maps.
            detection: has the range in which a receiver wants boxes.
        """
        low_x, low_y, _, high_x, high_y, _ = grid.lidar_range
        self._low, self._high = np.array([low_x, low_y]), np.array([high_x, high_y])
        x, y = (
            np.arange(SPACING / 2 - reach, reach, SPACING)
            for reach in usable_range(grid, detection)
        )
        places = np.stack(np.meshgrid(x, y, [0.0], indexing="ij"), axis=-1)
        self._places: Float64 = places.reshape(-1, 3)
        self.yaw = 0.0

    def towards(self, pose: Float64, receivers: Sequence[Float64]) -> float:
        """Return the turn under which the grid covers most of the receivers' detection ranges.

        The sensor's own heading and those of the receivers are compared; the grid stays as it lies
        while nobody is heard, or for less than `LEAST_GAIN`.

        Args:
            pose: (4, 4) sensor-to-map of the station, as its sensor lies.
            receivers: (4, 4) sensor-to-map of each receiver; at most `MOST_RECEIVERS` count.

        Returns:
            Angle from the sensor's x axis to the grid's, radians in (-pi, pi].
        """
        if len(receivers) > MOST_RECEIVERS:
            distances = [np.hypot(*(other[:2, 3] - pose[:2, 3])) for other in receivers]
            receivers = [receivers[i] for i in np.argsort(distances)[:MOST_RECEIVERS]]
        wanted = self._wanted(pose, receivers)
        best = self._covered(wanted, self.yaw) + LEAST_GAIN
        for candidate in [0.0, *(heading_between(pose, receiver) for receiver in receivers)]:
            covered = self._covered(wanted, candidate)
            if covered > best:
                best, self.yaw = covered, candidate
        return self.yaw

    def reset(self) -> None:
        """Lay the grid as the sensor lies, as after a jump in time."""
        self.yaw = 0.0

    def _wanted(self, pose: Float64, receivers: Sequence[Float64]) -> Float64:
        """Return the places (N, 2) in the receivers' ranges, x and y as the sensor lies."""
        seen = [
            transform_points(self._places, transform_between(receiver, pose))[:, :2]
            for receiver in receivers
        ]
        return np.concatenate([np.empty((0, 2)), *seen])

    def _covered(self, wanted: Float64, yaw: float) -> float:
        """Return how much of the receivers' ranges a turned grid covers, in ranges."""
        places = wanted @ _rotation(yaw)  # its transpose from the left
        inside = ((places >= self._low) & (places < self._high)).all(axis=1)
        return float(inside.sum()) / len(self._places)


def heading_between(pose: Float64, other: Float64) -> float:
    """Return the angle about the vertical axis from one frame's x axis to another's, radians.

    Args:
        pose: (4, 4) frame-to-map of the one.
        other: (4, 4) frame-to-map of the other.
    """
    relative = transform_between(other, pose)
    return float(np.arctan2(relative[1, 0], relative[0, 0]))


def turned_pose(pose: Float64, yaw: float) -> Float64:
    """Return the (4, 4) pose of a frame that is turned about the vertical axis of another.

    Args:
        pose: (4, 4) of the other.
        yaw: radians.
    """
    turn = np.eye(4)
    turn[:2, :2] = _rotation(yaw)
    turned: Float64 = pose @ turn
    return turned


def turned_points(points: Float32, yaw: float) -> Float32:
    """Return points as a frame sees them that is turned about the vertical axis.

    Args:
        points: (P, 3 or more) float32 x, y, z and what comes with them; not changed.
        yaw: radians from the points' frame to the turned one.
    """
    turn = np.eye(3)
    turn[:2, :2] = _rotation(yaw).T
    return moved_points(points, turn)


def _rotation(yaw: float) -> Float64:
    """Return the (2, 2) matrix that turns by an angle in radians."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    return np.array([[cosine, -sine], [sine, cosine]])
