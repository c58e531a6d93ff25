# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Follows detections from frame to frame.

Detections are matched to predicted tracks by the least sum of Mahalanobis distances (Hungarian
method), as AB3DMOT does with boxes (Weng et al., arXiv 1907.03961), within a gate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from quantv2x_ros.core.detection.detection import VEHICLE_OR_TRUCK, Detections
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.tracking import existence, kalman

Float64 = npt.NDArray[np.float64]

#: Squared Mahalanobis distance that 99 of 100 true pairs stay below (chi-squared, 2 dimensions).
GATE = 9.21
#: Largest standard deviation of a velocity that counts as known, m/s: some frames after the first.
SURE_VELOCITY = 2.0
#: Ids go up to this and begin again at 1.
_IDS = 2**32 - 1


class TrackerError(ValueError):
    """Settings that no tracker has, or a frame that does not come after the one before."""


@dataclass(frozen=True)
class TrackerSettings:
    """What is assumed of objects and detections; by label: vehicles, pedestrians, trucks.

    Attributes:
        accelerations: what changes a velocity within a second, standard deviation, m/s^2.
        speeds: of an object that is new, standard deviation in x and in y, m/s.
        deviations: of a detection's centre from the object's, in x and in y, metres.
        coast: a track that is not detected lives on for so long, seconds.
        least_existence: a track less likely to be an object is given up.
        turning_speed: an object that moves faster faces where it moves, m/s.
    """

    accelerations: tuple[float, ...] = (3.0, 1.0, 2.0)
    speeds: tuple[float, ...] = (12.0, 2.0, 12.0)
    deviations: tuple[float, ...] = (0.3, 0.2, 0.5)
    coast: float = 0.5
    least_existence: float = 0.05
    turning_speed: float = 2.0

    def __post_init__(self) -> None:
        """Raise TrackerError for a value that is none."""
        for name in ("accelerations", "speeds", "deviations"):
            values = getattr(self, name)
            if not values or not all(0 < value < math.inf for value in values):
                raise TrackerError(f"{name}: got {values}, expected positive numbers")
        if not 0 <= self.coast < math.inf:
            raise TrackerError(f"coast: got {self.coast} s, expected 0 or more")

    def of(self, name: str, labels: npt.NDArray[np.int32]) -> Float64:
        """Return a setting by label, (N,); of further labels that of the last one."""
        values = np.array(getattr(self, name))
        return values[np.minimum(labels - 1, len(values) - 1)]


@dataclass(frozen=True, eq=False)
class TrackedObjects:
    """What is known of a frame's detections from the frames before, row by row.

    Attributes:
        ids: (N,) int64, the track of each detection: 1 to 2**32 - 1, each given to one object.
        velocities: (N, 2) float64, over ground, in the axes of the boxes' frame, m/s.
        covariances: (N, 4, 4) float64, of x, y [m] and the velocity [m/s] in those axes.
        existence: (N,) float64, probability that there is an object.
        facing: (N,) bool, whether the heading's front is told by the motion.
        ages: (N,) float64, since the object was first detected, seconds.
    """

    ids: npt.NDArray[np.int64]
    velocities: Float64
    covariances: Float64
    existence: Float64
    facing: npt.NDArray[np.bool_]
    ages: Float64

    @property
    def known_velocities(self) -> Float64:
        """The velocities, (N, 2), m/s; NaN where their deviation is above `SURE_VELOCITY`."""
        variance = np.maximum(self.covariances[:, 2, 2], self.covariances[:, 3, 3])
        return np.where((variance <= SURE_VELOCITY**2)[:, None], self.velocities, np.nan)


class ObjectTracker:
    """Follows objects in the map, of detections in a frame that moves.

    One thread calls it.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        """Follow none yet.

        Args:
            settings: what is assumed; None for the defaults.
        """
        self._settings = settings or TrackerSettings()
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, as after a jump in time; their ids are not given again."""
        self._seconds: float | None = None
        self._ids = np.zeros(0, np.int64)
        self._labels = np.zeros(0, np.int32)
        self._states = np.zeros((0, 4))
        self._covariances = np.zeros((0, 4, 4))
        self._existence = np.zeros(0)
        self._first = np.zeros(0)
        self._last = np.zeros(0)

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self._ids)

    def is_later(self, seconds: float) -> bool:
        """Return whether a frame of that time comes after the one before, if there was one."""
        return self._seconds is None or seconds > self._seconds

    def update(self, detections: Detections, to_map: Float64, seconds: float) -> TrackedObjects:
        """Take a frame's detections.

        Args:
            detections: boxes in the ego's frame.
            to_map: (4, 4) from that to the map.
            seconds: time of the frame.

        Raises:
            TrackerError: for a frame that is not later than the one before.
        """
        self._predict(seconds)
        places = transform_boxes(detections.boxes, to_map)[:, :2].astype(np.float64)
        deviations = self._settings.of("deviations", detections.labels)
        rows, tracks = self._matches(places, detections.labels, deviations)
        self._see(rows, tracks, places, deviations, detections)
        missed = np.setdiff1d(np.arange(len(self)), tracks)
        self._existence[missed] = existence.when_missed(self._existence[missed])
        of_detection = np.full(len(detections), -1)
        of_detection[rows] = tracks
        new = np.flatnonzero(of_detection < 0)
        of_detection[new] = len(self) + np.arange(len(new))
        self._begin(places[new], deviations[new], detections.select(new), seconds)
        told = self._told(of_detection, detections, to_map, seconds)
        self._give_up(seconds)
        return told

    def _predict(self, seconds: float) -> None:
        """Move all tracks on to a frame's time."""
        if self._seconds is not None:
            past = seconds - self._seconds
            if not past > 0:
                raise TrackerError(f"a frame of {seconds} s does not come after {self._seconds} s")
            self._states, self._covariances = kalman.predicted(
                self._states,
                self._covariances,
                past,
                self._settings.of("accelerations", self._labels),
            )
            self._existence = existence.after(self._existence, past)
        self._seconds = seconds

    def _matches(
        self, places: Float64, labels: npt.NDArray[np.int32], deviations: Float64
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return detections and the tracks that they are of."""
        none = np.zeros(0, np.intp)
        if not len(places) or not len(self):
            return none, none
        away = places[:, None] - self._states[None, :, :2]
        spread = (
            self._covariances[None, :, :2, :2]
            + (deviations**2)[:, None, None, None] * np.eye(2)[None, None]
        )
        distance = np.einsum("nti,ntij,ntj->nt", away, np.linalg.inv(spread), away)
        allowed = (distance <= GATE) & _same_kind(labels[:, None], self._labels[None])
        rows, tracks = linear_sum_assignment(np.where(allowed, distance, 1e3))
        true = allowed[rows, tracks]
        return rows[true], tracks[true]

    def _see(
        self,
        rows: npt.NDArray[np.intp],
        tracks: npt.NDArray[np.intp],
        places: Float64,
        deviations: Float64,
        detections: Detections,
    ) -> None:
        """Correct the tracks that were detected."""
        self._states[tracks], self._covariances[tracks] = kalman.updated(
            self._states[tracks], self._covariances[tracks], places[rows], deviations[rows]
        )
        scores = detections.scores[rows].astype(np.float64)
        self._existence[tracks] = existence.when_detected(self._existence[tracks], scores)
        self._labels[tracks] = detections.labels[rows]
        self._last[tracks] = self._seconds

    def _begin(
        self, places: Float64, deviations: Float64, detections: Detections, seconds: float
    ) -> None:
        """Begin tracks of detections that belong to none."""
        count = len(places)
        covariances = np.zeros((count, 4, 4))
        covariances[:, (0, 1), (0, 1)] = deviations[:, None] ** 2
        speeds = self._settings.of("speeds", detections.labels)
        covariances[:, (2, 3), (2, 3)] = speeds[:, None] ** 2
        ids = (self._next_id - 1 + np.arange(count)) % _IDS + 1
        self._next_id = (self._next_id - 1 + count) % _IDS + 1
        states = np.concatenate([places, np.zeros((count, 2))], axis=1)
        self._ids = np.concatenate([self._ids, ids])
        self._labels = np.concatenate([self._labels, detections.labels])
        self._states = np.concatenate([self._states, states])
        self._covariances = np.concatenate([self._covariances, covariances])
        scores = detections.scores.astype(np.float64)
        self._existence = np.concatenate([self._existence, np.minimum(scores, existence.SUREST)])
        self._first = np.concatenate([self._first, np.full(count, seconds)])
        self._last = np.concatenate([self._last, np.full(count, seconds)])

    def _told(
        self,
        tracks: npt.NDArray[np.intp],
        detections: Detections,
        to_map: Float64,
        seconds: float,
    ) -> TrackedObjects:
        """Return what is known of detections, by their tracks."""
        turn = np.eye(4)
        turn[:2, :2] = turn[2:, 2:] = to_map[:2, :2].T  # from the map's axes to the frame's
        states = self._states[tracks]
        velocities = states[:, 2:] @ turn[2:, 2:].T
        yaw = detections.boxes[:, 6].astype(np.float64)
        along = velocities[:, 0] * np.cos(yaw) + velocities[:, 1] * np.sin(yaw)
        return TrackedObjects(
            ids=self._ids[tracks],
            velocities=velocities,
            covariances=turn @ self._covariances[tracks] @ turn.T,
            existence=self._existence[tracks],
            facing=along > self._settings.turning_speed,
            ages=seconds - self._first[tracks],
        )

    def _give_up(self, seconds: float) -> None:
        """Forget tracks that were not detected for too long, or that are hardly objects."""
        late = seconds - self._last > self._settings.coast
        kept = np.flatnonzero(~late & (self._existence >= self._settings.least_existence))
        for name in (
            "_ids",
            "_labels",
            "_states",
            "_covariances",
            "_existence",
            "_first",
            "_last",
        ):
            setattr(self, name, getattr(self, name)[kept])


def _same_kind(
    first: npt.NDArray[np.int32], second: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Whether labels can be those of one object: a van is a vehicle in one frame, then a truck."""
    same: npt.NDArray[np.bool_] = first == second
    for group in VEHICLE_OR_TRUCK:
        same = same | (np.isin(first, group) & np.isin(second, group))
    return same
