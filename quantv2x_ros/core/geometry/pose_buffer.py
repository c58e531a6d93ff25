# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a sensor at a sweep's stamp, from poses that arrive at other times."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt
from transforms3d.affines import compose
from transforms3d.quaternions import (
    axangle2quat,
    mat2quat,
    qinverse,
    qmult,
    quat2axangle,
    quat2mat,
)

from quantv2x_ros.core.geometry.pose import check_pose

Float64 = npt.NDArray[np.float64]

NO_POSE = "no_pose"
POSE_TOO_NEW = "pose_too_new"
POSE_NOT_YET = "pose_not_yet"
POSE_GAP = "pose_gap"

#: A pose this much older than the newest did not come late, time has jumped; nanoseconds.
HORIZON = 5_000_000_000


class PoseUnavailableError(LookupError):
    """No pose is known at the asked time.

    Attributes:
        reason: one of `NO_POSE`, `POSE_TOO_NEW` (the sweep is older than the oldest pose),
            `POSE_NOT_YET` (newer than the newest) and `POSE_GAP` (its neighbours are too far
            apart to interpolate).
        may_come: True where a later pose could still answer.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.may_come = reason in (NO_POSE, POSE_NOT_YET)


class PoseBuffer:
    """The latest poses of one sensor, looked up by time.

    Between two poses the position is interpolated linearly and the rotation along the shortest
    arc (slerp). Nothing is extrapolated.
    """

    def __init__(self, capacity: int = 200, max_gap: float = 0.5) -> None:
        """Create an empty buffer.

        Args:
            capacity: poses to keep; the oldest is forgotten.
            max_gap: longest time between two poses that is interpolated, seconds.

        Raises:
            ValueError: for a capacity below 2 or a gap that is not positive.
        """
        if capacity < 2:
            raise ValueError(f"capacity: got {capacity}, expected at least 2")
        if not max_gap > 0:
            raise ValueError(f"max_gap: got {max_gap} s, expected a positive time")
        self._capacity = capacity
        self._max_gap_ns = round(max_gap * 1e9)
        self._stamps: list[int] = []
        self._poses: list[tuple[Float64, Float64]] = []

    def __len__(self) -> int:
        """Return the number of poses kept."""
        return len(self._stamps)

    def add(self, stamp_ns: int, matrix: npt.ArrayLike, covariance: npt.ArrayLike) -> None:
        """Add a pose; one with the same stamp is replaced.

        A pose that is older than all a full buffer knows, or by more than `HORIZON` than its
        newest, means that time has jumped back: the others are forgotten.

        Args:
            stamp_ns: its time, nanoseconds.
            matrix: (4, 4) sensor-to-map.
            covariance: (6, 6) or (36,), row-major over x, y, z [m] and rotations [rad].

        Raises:
            PoseError: for a matrix that is not a finite rigid transform.
            ValueError: for a covariance that is not 36 finite numbers.
        """
        pose = check_pose(matrix)
        spread = np.asarray(covariance, dtype=np.float64).reshape(-1)
        if spread.shape != (36,) or not np.isfinite(spread).all():
            raise ValueError("pose covariance: expected 36 finite numbers")
        if self._stamps:
            full = len(self._stamps) == self._capacity
            if (full and stamp_ns < self._stamps[0]) or stamp_ns < self._stamps[-1] - HORIZON:
                self.clear()
        place = bisect_left(self._stamps, stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == stamp_ns:
            self._poses[place] = (pose, spread)
            return
        self._stamps.insert(place, stamp_ns)
        self._poses.insert(place, (pose, spread))
        if len(self._stamps) > self._capacity:
            del self._stamps[0], self._poses[0]

    def clear(self) -> None:
        """Forget everything, as after a jump in time."""
        self._stamps.clear()
        self._poses.clear()

    def jump_back(self, stamp_ns: int) -> None:
        """Forget everything if its newest is far beyond a time to which sweeps have jumped back.

        Args:
            stamp_ns: time of the first sweep after the jump, nanoseconds.
        """
        if self._stamps and self._stamps[-1] > stamp_ns + HORIZON:
            self.clear()

    def at(self, stamp_ns: int) -> tuple[Float64, Float64]:
        """Return the pose (4, 4) and its covariance (36,) at a time.

        Args:
            stamp_ns: nanoseconds.

        Raises:
            PoseUnavailableError: where no pose has this stamp and none can be interpolated.
        """
        if not self._stamps:
            raise PoseUnavailableError(NO_POSE, "no pose has been received")
        place = bisect_left(self._stamps, stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == stamp_ns:
            return self._poses[place]
        if place == 0:
            behind = (self._stamps[0] - stamp_ns) / 1e9
            raise PoseUnavailableError(POSE_TOO_NEW, f"the oldest pose is {behind:.3f} s newer")
        if place == len(self._stamps):
            ahead = (stamp_ns - self._stamps[-1]) / 1e9
            raise PoseUnavailableError(POSE_NOT_YET, f"the newest pose is {ahead:.3f} s older")
        before, after = self._stamps[place - 1], self._stamps[place]
        if after - before > self._max_gap_ns:
            raise PoseUnavailableError(
                POSE_GAP,
                f"the poses around it are {(after - before) / 1e9:.3f} s apart, allowed are "
                f"{self._max_gap_ns / 1e9:.3f} s",
            )
        fraction = (stamp_ns - before) / (after - before)
        (pose_a, spread_a), (pose_b, spread_b) = self._poses[place - 1], self._poses[place]
        spread = (1 - fraction) * spread_a + fraction * spread_b
        return interpolate(pose_a, pose_b, fraction), spread


def interpolate(pose_a: Float64, pose_b: Float64, fraction: float) -> Float64:
    """Return the pose (4, 4) at ``fraction`` (0 to 1) of the way from one pose to another.

    The position runs along the line, the rotation along the shortest arc at constant speed.
    """
    start = mat2quat(pose_a[:3, :3])
    turn = qmult(mat2quat(pose_b[:3, :3]), qinverse(start))
    if turn[0] < 0:  # the same rotation, the short way round
        turn = -turn
    axis, angle = quat2axangle(turn)
    rotation = quat2mat(qmult(axangle2quat(axis, fraction * angle, is_normalized=True), start))
    position = (1 - fraction) * pose_a[:3, 3] + fraction * pose_b[:3, 3]
    return np.asarray(compose(position, rotation, np.ones(3)), dtype=np.float64)
