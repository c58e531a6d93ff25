# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scores of an evaluation's settings: average precision, streaming, series, details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.core.detection.intervals import Draws, intervals
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.details import Details
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import EgoView
from quantv2x_ros.evaluation.senders import AirLoad
from quantv2x_ros.evaluation.series import Variant
from quantv2x_ros.evaluation.settings import EvaluationConfig, Sending
from quantv2x_ros.evaluation.tracking import TrackingScore

_TOLERANCE_MS = 1e-6


@dataclass(frozen=True, eq=False)
class _Pending:
    ready_ms: float
    detections: Detections
    pose: npt.NDArray[np.float64]


class StreamingPrecision:
    """Boxes against the objects at the time when the boxes are ready, with one latency.

    After "Towards Streaming Perception" (arXiv 2005.10420): at every state with truth the newest
    boxes that are ready count, whatever sweep they are of, and a detector that is busy misses
    sweeps. The ego knows how it moves, so its boxes are brought from the sweep's frame to the
    present one. Frames before the first boxes of a scenario can be ready do not count: a vehicle
    drives for hours.

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


class Scores:
    """Gathers the scores, frame by frame; settings that are the same share a metric.

    Args:
        classes: Names of the classes.
        config: The base settings.
        variants: Further settings, measured on the same frames.
        streaming_ms: Latencies of streaming AP; `None` in it stands for the measured one.
        detailed: Whether details are gathered.
        tracking: Scores how objects are followed; `None` where that is not asked for.

    Attributes:
        metric: Average precision with the base settings.
        details: Details of the base settings; empty where none are gathered.
        streams: Streaming AP of each latency.
        configs: All settings, the base first.
    """

    def __init__(
        self,
        classes: Sequence[str],
        config: EvaluationConfig,
        variants: Sequence[Variant],
        streaming_ms: Sequence[float | None],
        detailed: bool,
        tracking: TrackingScore | None = None,
    ) -> None:
        self._classes = classes
        self._tracking = tracking
        self._config = config
        self._variants = variants
        self._detailed = detailed
        self.metric = self._new_metric()
        self.details = Details(self._new_metric)
        self._alone = Details(self._new_metric)
        first = first_frame(streaming_ms)
        self.streams = [
            StreamingPrecision(self._new_metric(), ms, 0 if ms is None else first)
            for ms in streaming_ms
        ]
        settings = [(variant.config, variant.first_number) for variant in variants]
        self._variant_metrics = {key: self._new_metric() for key in settings}
        self.configs = tuple(dict.fromkeys([config, *(each for each, _ in settings)]))

    def _new_metric(self) -> AveragePrecision:
        return AveragePrecision(self._classes, protocol=self._config.protocol)

    @property
    def needs_every_frame(self) -> bool:
        """Whether frames that are not evaluated must come by, too."""
        return bool(self.streams) or self._tracking is not None

    def start_scenario(self) -> None:
        """Forget the boxes that streams were showing, and the tracks."""
        for metric in (self.metric, *self._variant_metrics.values()):
            metric.start_scene()
        for stream in self.streams:
            stream.start_scenario()
        if self._tracking is not None:
            self._tracking.start_scenario()

    def stream(self, state: FrameState, view: EgoView, truth: Truth | None) -> None:
        """Add a frame to streaming AP and to the tracks.

        Args:
            state: State of the frame; each frame is added, in order.
            view: Detections with the base settings.
            truth: Labelled objects; `None` for a frame that is not evaluated.
        """
        pose = state.frame[state.ego].lidar_pose
        for stream in self.streams:
            stream.step(state.number, pose, view.detections, view.latency_ms, truth)
        if self._tracking is not None:
            self._tracking.step(state.number, pose, view.detections, truth)

    def configs_at(self, number: int) -> list[EvaluationConfig]:
        """Return the settings, beside the base, for which a frame of a scenario counts."""
        counting = {config for config, first in self._variant_metrics if number >= first}
        return [config for config in self.configs[1:] if config in counting]

    def add(
        self, state: FrameState, truth: Truth, views: Mapping[EvaluationConfig, EgoView]
    ) -> None:
        """Add an evaluated frame.

        Args:
            state: State of the frame.
            truth: Labelled objects of the frame.
            views: Settings → detections, for the base and those of `configs_at`.
        """
        base = views[self._config]
        self.metric.add(base.detections, truth.boxes, truth.labels)
        if self._detailed:
            self.details.add(state, base, truth, self.metric)
        for (config, first), metric in self._variant_metrics.items():
            if state.number >= first:
                metric.add(views[config].detections, truth.boxes, truth.labels)
                if self._detailed and config.ego_only and first == 0:
                    self._alone.add(state, views[config], truth, metric)

    def further(self, traffic: Mapping[tuple[str, Sending], AirLoad]) -> dict[str, Any]:
        """Return the scores beyond the base settings' average precision.

        Args:
            traffic: What is sent (see `EvaluationConfig.traffic`) → load of the air.

        Returns:
            `intervals` of average precision on other scenes; and where they were asked for
            `sweeps`, `streaming`, `tracking`, `fronts_told`, `by_agents`, `by_range`, `by_sight`,
            and the latter two of the ego alone as `alone`.
        """
        drawn = self.metric.drawn()
        result: dict[str, Any] = {"intervals": intervals(drawn)}
        if self._variants:
            result["sweeps"] = self._sweeps(traffic, drawn)
        if self.streams:
            result["streaming"] = [stream.compute() for stream in self.streams]
        if self._tracking is not None:
            result["tracking"] = self._tracking.compute()
        if self._detailed:
            result.update(self.details.compute())
            if self._alone.frames:
                parts = self._alone.compute()
                result["alone"] = {name: parts[name] for name in ("by_range", "by_sight")}
        return result

    def _sweeps(
        self, traffic: Mapping[tuple[str, Sending], AirLoad], base: Draws
    ) -> dict[str, list[dict[str, Any]]]:
        table: dict[str, list[dict[str, Any]]] = {}
        for variant in self._variants:
            metric = self._variant_metrics[variant.config, variant.first_number]
            drawn = metric.drawn()
            paired = metric.frames == self.metric.frames
            point = {
                "value": variant.value,
                "first_number": variant.first_number,
                "frames": metric.frames,
                **traffic[variant.config.traffic].compute(),
                **metric.compute(),
                "intervals": intervals(drawn),
                **({"changes": intervals(drawn, base)} if paired else {}),
            }
            table.setdefault(variant.sweep, []).append(point)
        return table
