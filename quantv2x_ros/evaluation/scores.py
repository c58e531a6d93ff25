# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The scores of an evaluation's settings: average precision, streaming, series, details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.evaluation.air_load import AirLoad
from quantv2x_ros.evaluation.details import Details
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import EgoView
from quantv2x_ros.evaluation.series import Variant
from quantv2x_ros.evaluation.settings import EvaluationConfig, Sending
from quantv2x_ros.evaluation.streaming import StreamingPrecision, first_frame


class Scores:
    """Gathers the scores, frame by frame; settings that are the same share a metric.

    Args:
        classes: Names of the classes.
        config: The base settings.
        variants: Further settings, measured on the same frames.
        streaming_ms: Latencies of streaming AP; `None` in it stands for the measured one.
        detailed: Whether details are gathered.

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
    ) -> None:
        self._classes = classes
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

    def start_scenario(self) -> None:
        """Forget the boxes that streams were showing."""
        for stream in self.streams:
            stream.start_scenario()

    def stream(self, state: FrameState, view: EgoView, truth: Truth | None) -> None:
        """Add a frame to streaming AP.

        Args:
            state: State of the frame; each frame is added, in order.
            view: Detections with the base settings.
            truth: Labelled objects; `None` for a frame that is not evaluated.
        """
        pose = state.frame[state.ego].lidar_pose
        for stream in self.streams:
            stream.step(state.number, pose, view.detections, view.latency_ms, truth)

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

    def further(self, traffic: Mapping[Sending, AirLoad]) -> dict[str, Any]:
        """Return the scores beyond the base settings' average precision.

        Args:
            traffic: Way of sending → load of the air.

        Returns:
            `sweeps`, `streaming`, `by_agents`, `by_range`, `by_sight`, and the latter two of the
            ego alone as `alone`; each where it was asked for.
        """
        result: dict[str, Any] = {}
        if self._variants:
            result["sweeps"] = self._sweeps(traffic)
        if self.streams:
            result["streaming"] = [stream.compute() for stream in self.streams]
        if self._detailed:
            result.update(self.details.compute())
            if self._alone.frames:
                parts = self._alone.compute()
                result["alone"] = {name: parts[name] for name in ("by_range", "by_sight")}
        return result

    def _sweeps(self, traffic: Mapping[Sending, AirLoad]) -> dict[str, list[dict[str, Any]]]:
        table: dict[str, list[dict[str, Any]]] = {}
        for variant in self._variants:
            metric = self._variant_metrics[variant.config, variant.first_number]
            point = {
                "value": variant.value,
                "first_number": variant.first_number,
                "frames": metric.frames,
                **traffic[variant.config.link.sending].compute(),
                **metric.compute(),
            }
            table.setdefault(variant.sweep, []).append(point)
        return table
