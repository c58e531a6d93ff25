# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector over a dataset, also on a bad link.

All settings of a run are measured in one pass over the frames, so that every sweep is read, encoded
and perceived once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantv2x_ros.core.evaluation import AveragePrecision
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Truth
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.offline.details import Details
from quantv2x_ros.offline.detector import Detector
from quantv2x_ros.offline.inbox import HISTORY
from quantv2x_ros.offline.moments import Moment, Moments, choose_agents
from quantv2x_ros.offline.motion import PAST
from quantv2x_ros.offline.radio import Radio
from quantv2x_ros.offline.receiver import Receiver, View
from quantv2x_ros.offline.settings import EvaluationConfig, EvaluationSettingError
from quantv2x_ros.offline.streaming import StreamingPrecision, first_frame
from quantv2x_ros.offline.sweeps import Variant
from quantv2x_ros.offline.traffic import Traffic

Progress = Callable[[int, int], object]


@dataclass(eq=False)
class Evaluation:
    """An evaluation while it runs, and its result.

    Attributes:
        detector: What detects.
        config: The base settings.
        variants: Further settings, measured on the same frames.
        streaming_ms: Latencies of streaming AP; `None` in it stands for the measured one.
        detailed: Whether to gather details.
    """

    detector: Detector
    config: EvaluationConfig
    variants: Sequence[Variant] = ()
    streaming_ms: Sequence[float | None] = ()
    detailed: bool = False
    skipped: list[DatasetError] = field(default_factory=list, init=False)
    without_ego: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Make empty metrics; settings that are the same share one.

        Raises:
            EvaluationSettingError: For more agents than the bundle fuses.
        """
        most = self.detector.bundle.max_agents
        if self.config.agents > most:
            raise EvaluationSettingError(
                f"agents must be 1 to {most}, which bundle {self.detector.bundle.name} fuses, got"
                f" {self.config.agents}"
            )
        self.metric = self._new_metric()
        self.details = Details(self._new_metric)
        self._alone = Details(self._new_metric)
        first = first_frame(self.streaming_ms)
        self.streams = [
            StreamingPrecision(self._new_metric(), ms, 0 if ms is None else first)
            for ms in self.streaming_ms
        ]
        settings = [(variant.config, variant.first_number) for variant in self.variants]
        self._variant_metrics = {key: self._new_metric() for key in settings}
        self._radio = Radio(self.detector)
        configs = [self.config, *(config for config, _ in settings)]
        self._traffic = {c.link.sending: Traffic() for c in configs}
        self._delay = max(config.link.delay for config in configs)
        past = PAST if any(config.compensate for config in configs) else 0
        heard = 0 if all(config.link.is_perfect for config in configs) else HISTORY
        self._keep = self._delay + past + heard + 1

    def _new_metric(self) -> AveragePrecision:
        return AveragePrecision(self.detector.bundle.classes, protocol=self.config.protocol)

    def run(self, scenarios: Sequence[Scenario], progress: Progress | None = None) -> None:
        """Go through the scenarios.

        Args:
            scenarios: As opened.
            progress: Called with the number of frames done and of all.

        Raises:
            DatasetError: If a file is damaged (unless those are skipped), or no frame could be
                evaluated.
        """
        total = sum(len(scenario.timestamps) for scenario in scenarios)
        wanted = _spread(total, self.config.max_frames)
        done = seen = 0
        for index, scenario in enumerate(scenarios):
            self.skipped += scenario.broken
            numbers = range(len(scenario.timestamps))
            needed = {number for number in numbers if done + number in wanted}
            for number in self._scenario(index, scenario, needed):
                if number in needed:
                    seen += 1
                    if progress is not None:
                        progress(seen, len(wanted))
            done += len(scenario.timestamps)
        if self.metric.frames == 0:
            raise DatasetError(
                scenarios[0].folder.parent,
                f"no frame could be evaluated in mode {self.config.mode}: {self.without_ego} of"
                f" {len(wanted)} have no ego, {len(self.skipped)} files are broken",
                "Choose another mode or data",
            )

    def _scenario(self, index: int, scenario: Scenario, needed: set[int]) -> Iterator[int]:
        """Go through one scenario; yields the number of each frame that is done."""
        moments = Moments(self.detector, self._keep)
        receivers = {
            config: Receiver(self.detector, self._radio, config, index)
            for config in {self.config, *(config for config, _ in self._variant_metrics)}
        }
        for stream in self.streams:
            stream.start_scenario()
        for number, timestamp in enumerate(scenario.timestamps):
            # a delayed message needs the frames before the one that is evaluated, motion more
            ahead = range(number, number + self._keep)
            if needed.intersection(ahead) or (self.streams and needed):
                moment = self._moment(scenario, timestamp, number, moments)
                if moment is not None:
                    self._evaluate(moment, moments, receivers, number in needed)
            yield number

    def _moment(
        self, scenario: Scenario, timestamp: str, number: int, moments: Moments
    ) -> Moment | None:
        """Read a frame and let its agents send; `None` if it is left out."""
        try:
            frame = scenario.frame(timestamp)
            agents = choose_agents(frame, self.config)
            if not agents:
                self.without_ego += 1
                return None
            moment = moments.add(number, frame, agents)
        except DatasetError as error:
            if not self.config.skip_broken:
                raise
            self.skipped.append(error)
            return None
        self._weigh(moment)
        return moment

    def _weigh(self, moment: Moment) -> None:
        """Note how long the messages are, by every way of sending them."""
        for sending, traffic in self._traffic.items():
            for sent in moment.sent.values():
                if self.detector.plain_bytes:
                    traffic.add_plain(self.detector.plain_bytes)
                else:
                    traffic.add(self._radio.send(sent, sending))

    def _evaluate(
        self,
        moment: Moment,
        moments: Moments,
        receivers: dict[EvaluationConfig, Receiver],
        counts: bool,
    ) -> None:
        """Detect with all settings at a moment."""
        for receiver in receivers.values():
            receiver.listen(moments, moment)
        if not counts and not self.streams:
            return
        truth = moment.frame.truth(moment.ego, list(moment.sent))
        views = {self.config: receivers[self.config].view(moments, moment)}
        self._stream(moment, views[self.config], truth if counts else None)
        if not counts:
            return
        base = views[self.config]
        self.metric.add(base.detections, truth.boxes, truth.labels)
        if self.detailed:
            self.details.add(moment, base, truth, self.metric)
        for (config, first), metric in self._variant_metrics.items():
            if moment.number >= first:
                if config not in views:
                    views[config] = receivers[config].view(moments, moment)
                metric.add(views[config].detections, truth.boxes, truth.labels)
                if self.detailed and config.ego_only and first == 0:
                    self._alone.add(moment, views[config], truth, metric)

    def _stream(self, moment: Moment, view: View, truth: Truth | None) -> None:
        pose = moment.sent[moment.ego].pose
        for stream in self.streams:
            stream.step(moment.number, pose, view.detections, view.latency_ms, truth)

    def result(self) -> dict[str, Any]:
        """Return the result.

        Returns:
            `{"AP": {class: {"0.3": …}}, "mAP": {…}, "objects": {…}, "bytes_per_frame": …,
            "frames": …}` with what the messages take (see `Traffic.compute`), the settings, and
            what was asked for beyond: `sweeps`, `streaming`, `by_agents`, `by_range`, `by_sight`,
            and the latter two of the ego alone as `alone`.
        """
        traffic = self._traffic[self.config.link.sending].compute()
        result = {
            **self.metric.compute(),
            **traffic,
            "bits_per_cell": 8.0 * traffic["bytes_per_frame"] / self.cells,
            "frames": self.metric.frames,
            "bundle": self.detector.bundle.name,
            "precision": self.detector.precision,
            "score_threshold": self.detector.bundle.detection.score_threshold,
            **self.config.as_dict(),
            "skipped": [str(error) for error in self.skipped],
            "frames_without_ego": self.without_ego,
        }
        if self.variants:
            result["sweeps"] = self._sweeps()
        if self.streams:
            result["streaming"] = [stream.compute() for stream in self.streams]
        if self.detailed:
            result.update(self.details.compute())
            if self._alone.frames:
                parts = self._alone.compute()
                result["alone"] = {name: parts[name] for name in ("by_range", "by_sight")}
        return result

    @property
    def cells(self) -> int:
        """Cells of an index map."""
        return int(np.prod(self.detector.bundle.grid.shape))

    def _sweeps(self) -> dict[str, list[dict[str, Any]]]:
        table: dict[str, list[dict[str, Any]]] = {}
        for variant in self.variants:
            metric = self._variant_metrics[variant.config, variant.first_number]
            point = {
                "value": variant.value,
                "first_number": variant.first_number,
                "frames": metric.frames,
                **self._traffic[variant.config.link.sending].compute(),
                **metric.compute(),
            }
            table.setdefault(variant.sweep, []).append(point)
        return table


def _spread(total: int, count: int) -> Sequence[int] | set[int]:
    """Return frame numbers, evenly spread."""
    if count == 0 or count >= total:
        return range(total)
    return {int(number) for number in np.linspace(0, total - 1, count).round()}
