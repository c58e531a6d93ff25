# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The boxes that peers have found alone: of each the newest sweep's, brought to the ego's time."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections
from quantv2x_ros.core.fusion.late_fusion import carried, late_fusion
from quantv2x_ros.core.geometry.pose import Matrix, invert
from quantv2x_ros.core.peers.peers import PeerField
from quantv2x_ros.core.peers.registry import PeerRegistry

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PeerObjects:
    """Some or all of what a peer found in one of its sweeps.

    Attributes:
        station_id: the peer.
        stamp_ns: time of the sweep, nanoseconds.
        pose: (4, 4) from the frame of the boxes to the map, metres.
        detections: the boxes.
        velocities: (N, 2) theirs over ground, in the axes of their frame, m/s; NaN where not known.
    """

    station_id: int
    stamp_ns: int
    pose: Matrix
    detections: Detections
    velocities: Float64


@dataclass(frozen=True, eq=False)
class ReportedBoxes:
    """A peer's newest boxes in the ego's frame, at the ego's time.

    Attributes:
        station_id: the peer.
        stamp_ns: time of its sweep, nanoseconds.
        detections: the boxes.
    """

    station_id: int
    stamp_ns: int
    detections: Detections


@dataclass(frozen=True, eq=False)
class JoinedBoxes:
    """One list of what was fused and what peers reported.

    Attributes:
        detections: in descending score.
        sources: (N,) int64, which of the fused boxes each is; -1 for one that a peer reported.
        reporters: (N,) int64, the place in the reports of who reported it; -1 for one of the fused.
    """

    detections: Detections
    sources: npt.NDArray[np.int64]
    reporters: npt.NDArray[np.int64]


@dataclass(eq=False)
class _Newest:
    """What has come of a peer's newest sweep with objects."""

    messages: list[PeerObjects] = field(default_factory=list)


class PeerBoxes:
    """Holds the newest boxes of every tracked peer. One thread may hear while another reads."""

    def __init__(self, registry: PeerRegistry) -> None:
        """Have heard nothing yet.

        Args:
            registry: of the stations: its bound and its expiry hold.
        """
        self._registry = registry
        self._newest = PeerField(_Newest)
        self._lock = threading.Lock()

    def hear(self, message: PeerObjects, now: float) -> None:
        """Take what a peer reports; an older sweep than the newest is passed over.

        Args:
            message: checked.
            now: seconds of the receiver's time.

        Raises:
            PeerRefusedError: if the station is new and there is no room for it.
        """
        record = self._registry.admit(message.station_id, now)
        with self._lock:
            known = self._newest.of(record)
            if not known.messages or message.stamp_ns > known.messages[0].stamp_ns:
                known.messages = [message]
            elif message.stamp_ns == known.messages[0].stamp_ns:
                known.messages.append(message)

    def reports(
        self, stamp_ns: int, pose: Matrix, longest: float, without: Collection[int] = ()
    ) -> list[ReportedBoxes]:
        """Return the peers' newest boxes, by station, in the ego's frame and at its time.

        Args:
            stamp_ns: time of the ego's sweep, nanoseconds.
            pose: (4, 4) from the ego's frame to the map, metres.
            longest: boxes of an older sweep are not used, seconds.
            without: stations that are left out.
        """
        with self._lock:
            heard = {
                record.station_id: tuple(newest.messages)
                for record in self._registry.tracked()
                if (newest := self._newest.find(record)) is not None and newest.messages
            }
        to_ego = invert(pose)
        reports = []
        for station, messages in sorted(heard.items()):
            age = (stamp_ns - messages[0].stamp_ns) / 1e9
            if station in without or abs(age) > longest:
                continue
            moved = [_carried(m, to_ego, age) for m in messages]
            reports.append(ReportedBoxes(station, messages[0].stamp_ns, _joined(moved)))
        return reports


def _carried(message: PeerObjects, to_ego: Matrix, age: float) -> Detections:
    """Return a message's boxes at the ego's time; those of unknown velocity stay where they were.

    Args:
        message: what a peer reports.
        to_ego: (4, 4) from the map to the ego's frame.
        age: of its sweep against the ego's, seconds.
    """
    velocities = np.nan_to_num(message.velocities)
    return carried(message.detections, velocities, message.pose, to_ego, age)


def join_reports(
    fused: Detections, reports: Sequence[ReportedBoxes], config: DetectionConfig, classes: int
) -> JoinedBoxes:
    """Return one list of the fused boxes and the reported ones, by late fusion.

    What the fused features gave is one more list of boxes. Of the reported boxes those below the
    thresholds are left out, and beyond ``max_candidates`` those with the least scores.

    Args:
        fused: what the fused features gave.
        reports: boxes of peers, in the ego's frame.
        config: thresholds, range and options of the ego's detection.
        classes: number of the ego's classes.
    """
    reported = _joined([report.detections for report in reports])
    owners = np.repeat(np.arange(len(reports)), [len(report.detections) for report in reports])
    likely = np.flatnonzero(reported.scores > _floors(config, classes)[reported.labels])
    likely = likely[np.argsort(-reported.scores[likely], kind="stable")][: config.max_candidates]
    if not len(likely):
        return JoinedBoxes(fused, np.arange(len(fused)), np.full(len(fused), -1))
    detections, rows = late_fusion([fused, reported.select(likely)], config)
    of_fused = np.arange(len(fused))
    sources = np.concatenate([of_fused, np.full(len(likely), -1)])
    reporters = np.concatenate([np.full(len(fused), -1), owners[likely]])
    return JoinedBoxes(detections, sources[rows], reporters[rows])


def _floors(config: DetectionConfig, classes: int) -> npt.NDArray[np.float32]:
    """Return the threshold of each label, from label 0 on, which no box has."""
    return np.concatenate([np.ones(1, np.float32), config.thresholds(classes)])


def _joined(parts: Sequence[Detections]) -> Detections:
    """Return several lists of boxes as one."""
    if not parts:
        return Detections.empty()
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
