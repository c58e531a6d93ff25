# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streaming average precision: boxes against the objects at the time when they are ready.

After "Towards Streaming Perception" (arXiv 2005.10420): at every state with truth the newest boxes
that are ready count, whatever sweep they are of, and a detector that is busy misses sweeps. The ego
knows how it moves, so its boxes are brought from the sweep's frame to the present one. FrameHistory
before the first boxes of a scenario can be ready do not count: a vehicle drives for hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.data.scenario import FRAME_PERIOD

_TOLERANCE_MS = 1e-6


@dataclass(frozen=True, eq=False)
class _Pending:
    ready_ms: float
    detections: Detections
    pose: npt.NDArray[np.float64]


class StreamingPrecision:
    """Streaming AP of one latency.

    Attributes:
        metric: Average precision of the boxes that were ready.
    """

    def __init__(
        self, metric: AveragePrecision, latency_ms: float | None, first_number: int = 0
    ) -> None:
        """Start without a frame.

        Args:
            metric: Empty metric.
            latency_ms: Time from a sweep to its boxes; `None`: as measured, frame by frame.
            first_number: Frames of a scenario before this one do not count, so that several
                latencies are measured on the same frames.
        """
        self.metric = metric
        self._first = first_number
        self._given = latency_ms
        self._used: list[float] = []
        self.start_scenario()

    def start_scenario(self) -> None:
        """Forget the boxes shown, since another scenario begins."""
        self._pending: list[_Pending] = []
        self._busy_until_ms = -np.inf

    def step(
        self,
        number: int,
        pose: npt.NDArray[np.float64],
        detections: Detections,
        measured_ms: float,
        truth: Truth | None,
    ) -> None:
        """Add the next frame of a scenario.

        Args:
            number: Number of the frame; frames are 100 ms apart.
            pose: (4, 4) pose of the ego's sensor in the map now.
            detections: Boxes of this frame's sweep, which are ready after the latency.
            measured_ms: Time that the detector takes, milliseconds.
            truth: Objects that are there now; `None` if this frame does not count.
        """
        now = 1e3 * FRAME_PERIOD * number
        if self._busy_until_ms <= now + _TOLERANCE_MS:
            latency = measured_ms if self._given is None else self._given
            self._used.append(latency)
            self._busy_until_ms = now + latency
            self._pending.append(_Pending(self._busy_until_ms, detections, pose))
        ready = [item for item in self._pending if item.ready_ms <= now + _TOLERANCE_MS]
        # of what is ready only the newest is ever used again
        self._pending = ready[-1:] + [item for item in self._pending if item not in ready]
        if truth is not None and ready and number >= self._first:
            found = _moved(ready[-1], pose)
            self.metric.add(found, truth.boxes, truth.labels)

    def compute(self) -> dict[str, Any]:
        """Return the mean latency and the result, see `AveragePrecision.compute`."""
        mean = float(np.mean(self._used)) if self._used else float("nan")
        return {
            "latency_ms": mean,
            "measured": self._given is None,
            "frames": self.metric.frames,
            **self.metric.compute(),
        }


def first_frame(latencies_ms: Sequence[float | None]) -> int:
    """Return the first frame at which boxes of all given latencies are ready."""
    given = [latency for latency in latencies_ms if latency is not None]
    period = 1e3 * FRAME_PERIOD
    return int(np.ceil(max(given, default=0.0) / period - _TOLERANCE_MS))


def measurable(
    latencies_ms: Sequence[float | None], longest: int
) -> tuple[list[float | None], list[str]]:
    """Return the latencies that a scenario of so many frames can show, and notes on the others."""
    kept = [ms for ms in latencies_ms if ms is None or first_frame([ms]) < longest]
    left = [f"{ms:g}" for ms in latencies_ms if ms is not None and ms not in kept]
    if not left:
        return kept, []
    return kept, [
        f"streaming AP at {', '.join(left)} ms is left out: no scenario has more than {longest}"
        " frames"
    ]


def _moved(pending: _Pending, pose: npt.NDArray[np.float64]) -> Detections:
    """Move the boxes of an earlier sweep into the ego's present frame."""
    found = pending.detections
    boxes = transform_boxes(found.boxes, transform_between(pending.pose, pose))
    return Detections(boxes.astype(np.float32), found.scores, found.labels)
