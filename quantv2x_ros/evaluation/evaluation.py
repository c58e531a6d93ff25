# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector over a dataset, also on a bad link.

All settings of a run are measured in one pass over the frames, so that every sweep is read, encoded
and perceived once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.core.fusion.occupancy_tracks import TrackSettings
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.scenario import FRAME_PERIOD, Scenario, find_scenarios
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.frame_state import FrameState, ScenarioAgents, choose_agents
from quantv2x_ros.evaluation.hybrid_playback import HybridPlayback, hybrid_sizes
from quantv2x_ros.evaluation.late_playback import LatePlayback, box_sizes
from quantv2x_ros.evaluation.playback import EgoView, Playback
from quantv2x_ros.evaluation.pyramid_cache import PyramidCache
from quantv2x_ros.evaluation.scores import Scores
from quantv2x_ros.evaluation.senders import AirLoad, Senders
from quantv2x_ros.evaluation.series import Variant
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError
from quantv2x_ros.evaluation.tracking import TrackingScore
from quantv2x_ros.inference.model.manifest import MANIFEST_NAME, parse_manifest
from quantv2x_ros.inference.protocol import Detector, PlainFeature


def open_scenarios(data: str | Path, config: EvaluationConfig) -> list[Scenario]:
    """Open all scenarios of a dataset.

    Raises:
        DatasetError: If there is none, or a file lacks its counterpart (unless those are skipped).
    """
    folders = find_scenarios(data)
    try:
        return [Scenario.open(folder, skip_broken=config.skip_broken) for folder in folders]
    except DatasetError as error:
        raise error.with_hint(SKIP_HINT) from error


def evaluate(
    detector: Detector,
    data: str | Path,
    config: EvaluationConfig,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a detector on a dataset with one setting; see `Evaluation`."""
    evaluation = Evaluation(detector, config)
    evaluation.run(open_scenarios(data, config), progress)
    return evaluation.result()


#: What else can be done about a damaged file.
SKIP_HINT = "leave damaged files out: --skip-broken"

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
        tracking: Whether to score how objects are followed.
        scores: What was measured so far.
    """

    detector: Detector
    config: EvaluationConfig
    variants: Sequence[Variant] = ()
    streaming_ms: Sequence[float | None] = ()
    detailed: bool = False
    tracking: bool = False
    skipped: list[DatasetError] = field(default_factory=list, init=False)
    empty: list[DatasetError] = field(default_factory=list, init=False)
    without_ego: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Make empty scores.

        Raises:
            EvaluationSettingError: For more agents than the bundle fuses.
        """
        most = self.detector.bundle.max_agents
        plain = self.detector.sends_features
        self.config = self.config.resolved(most, plain)
        self.variants = [
            replace(variant, config=variant.config.resolved(most, plain))
            for variant in self.variants
        ]
        if self.config.agents > most:
            raise EvaluationSettingError(
                f"agents must be 1 to {most}, which bundle {self.detector.bundle.name} fuses, got"
                f" {self.config.agents}"
            )
        self.scores = Scores(
            self.detector.bundle.classes,
            self.config,
            self.variants,
            self.streaming_ms,
            self.detailed,
            self._tracking_score(),
        )
        configs = self.scores.configs
        self._senders = Senders(self.detector.bundle)
        self._pyramids = PyramidCache(self.detector)
        self._traffic = {config.traffic: AirLoad() for config in configs}
        self._warm_up = max(map(_warm_up, configs))
        self._refused: Counter[str] = Counter()
        self._air: Counter[str] = Counter()

    def _tracking_score(self) -> TrackingScore | None:
        if not self.tracking:
            return None
        bundle = self.detector.bundle
        # the detector's thresholds are those of the ranking
        own = parse_manifest((bundle.folder / MANIFEST_NAME).read_bytes()).detection
        return TrackingScore(bundle.classes, own)

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
        if self.scores.metric.frames == 0:
            raise DatasetError(
                scenarios[0].folder.parent,
                f"no frame could be evaluated in mode {self.config.mode}: {self.without_ego} of"
                f" {len(wanted)} have no ego, {len(self.skipped)} files are broken",
                "Choose another mode or data",
            )

    def _scenario(self, index: int, scenario: Scenario, needed: set[int]) -> Iterator[int]:
        """Go through one scenario; yields the number of each frame that is done."""
        grids = AgentGrids(
            self.detector.bundle, level=self.config.level, turn=self.config.turn_grids
        )
        agents = ScenarioAgents(self.detector, grids)
        playbacks = {config: self._playback(config, index) for config in self.scores.configs}
        self.scores.start_scenario()
        left_out = False
        for number, timestamp in enumerate(scenario.timestamps):
            ahead = range(number, number + self._warm_up + 1)
            if needed.intersection(ahead) or (self.scores.needs_every_frame and needed):
                for playback in playbacks.values() if left_out else ():
                    playback.reset()
                left_out = False
                state = self._state(scenario, timestamp, number, agents)
                if state is not None:
                    self._evaluate(state, playbacks, number in needed)
            else:
                left_out = True
            yield number
        self._refused += playbacks[self.config].refused
        self._air += playbacks[self.config].air_counts

    def _playback(self, config: EvaluationConfig, index: int) -> Playback | LatePlayback:
        bundle = self.detector.bundle
        if config.fusion == "late":
            return LatePlayback(bundle, config, index)
        kind = HybridPlayback if config.fusion == "hybrid" else Playback
        return kind(self._pyramids, bundle, self._senders, config, index)

    def _state(
        self, scenario: Scenario, timestamp: str, number: int, senders: ScenarioAgents
    ) -> FrameState | None:
        """Read a frame and let its agents send; `None` if it is left out."""
        try:
            frame = scenario.frame(timestamp).placed(self.config.placement)
            agents = choose_agents(frame, self.config)
            if not agents:
                self.without_ego += 1
                return None
            self._note_empty(frame, agents)
            state = senders.send(number, frame, agents)
        except DatasetError as error:
            if not self.config.skip_broken:
                raise error.with_hint(SKIP_HINT) from error
            self.skipped.append(error)
            return None
        self._weigh(state)
        return state

    def _note_empty(self, frame: Frame, agents: Sequence[str]) -> None:
        """Note clouds without a point, which are evaluated unless damaged files are left out.

        Raises:
            DatasetError: If one is there, and those are left out.
        """
        for path in (frame[name].cloud_path for name in agents if not len(frame[name].points)):
            error = DatasetError(path, "the cloud has no point", "Copy it again")
            if self.config.skip_broken:
                raise error
            self.empty.append(error.with_hint(SKIP_HINT))

    def _weigh(self, state: FrameState) -> None:
        """Note how long the messages are, by every way of sending them."""
        classes = self.detector.bundle.classes
        for (fusion, sending), traffic in self._traffic.items():
            for name, sent in state.sent.items():
                if fusion == "late":
                    traffic.add(box_sizes(state, name, sending))
                elif fusion == "hybrid":
                    traffic.add(hybrid_sizes(state, name, sending, self._senders, classes))
                elif isinstance(sent.message, PlainFeature):
                    traffic.add_plain(len(sent.broadcast.payload))
                else:
                    traffic.add(self._senders.send(sent, sending).packet_sizes)

    def _evaluate(
        self,
        state: FrameState,
        playbacks: Mapping[EvaluationConfig, Playback | LatePlayback],
        counts: bool,
    ) -> None:
        """Play a frame with all settings, and take the boxes of those for which it counts."""
        wanted = {*self.scores.configs_at(state.number)} if counts else set()
        if counts or self.scores.needs_every_frame:
            wanted.add(self.config)
        views: dict[EvaluationConfig, EgoView] = {}
        for config, playback in playbacks.items():
            view = playback.play(state, detect=config in wanted)
            if view is not None:
                views[config] = view
        if not wanted:
            return
        truth = state.frame.truth(state.ego, list(state.sent))
        self.scores.stream(state, views[self.config], truth if counts else None)
        if counts:
            self.scores.add(state, truth, views)

    def result(self) -> dict[str, Any]:
        """Return the result.

        Returns:
            `{"AP": {class: {"0.3": …}}, "mAP": {…}, "objects": {…}, "bytes_per_frame": …,
            "frames": …}` with what the messages take (see `AirLoad.compute`), the settings, and
            what was asked for beyond, see `Scores.further`.
        """
        traffic = self._traffic[self.config.traffic].compute()
        return {
            **self.scores.metric.compute(),
            **traffic,
            "bits_per_cell": 8.0 * traffic["bytes_per_frame"] / self.cells,
            "frames": self.scores.metric.frames,
            "bundle": self.detector.bundle.name,
            "precision": self.detector.precision,
            "score_threshold": self.detector.bundle.detection.score_threshold,
            **self.config.as_dict(),
            "skipped": [str(error) for error in self.skipped],
            "frames_without_ego": self.without_ego,
            "refused": dict(self._refused),
            "air": dict(self._air),
            **self.scores.further(self._traffic),
        }

    @property
    def cells(self) -> int:
        """Cells of an index map."""
        return int(np.prod(self.detector.bundle.grid.shape))


def _warm_up(config: EvaluationConfig) -> int:
    """Return how many frames a receiver is played before one that counts.

    By then it holds what a message's delay, its own memory and the tracks of objects reach back.
    """
    memory = math.ceil(config.receiver.peer_timeout / FRAME_PERIOD)
    motion = TrackSettings().places - 1 if config.receiver.compensate_motion else 0
    return config.link.delay + memory + motion


def _spread(total: int, count: int) -> Sequence[int] | set[int]:
    """Return frame numbers, evenly spread."""
    if count == 0 or count >= total:
        return range(total)
    return {int(number) for number in np.linspace(0, total - 1, count).round()}
