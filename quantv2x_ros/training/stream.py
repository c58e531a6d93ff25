# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples of a dataset: random ones without end to learn from, whole frames to validate on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.scenario import Scenario, find_scenarios
from quantv2x_ros.data.v2x_real import CLASSES
from quantv2x_ros.training.samples import (
    Sample,
    SampleConfig,
    SampleMaker,
    choose_agents,
    cooperative_frame,
)


def absent_classes(all_frames: Sequence[tuple[Scenario, str]], frames: int = 100) -> list[str]:
    """Return the classes of which no object is labelled.

    Args:
        all_frames: Scenario and timestamp of every frame.
        frames: Largest number of frames that are read, spread evenly. Reading ends when all
            classes were seen. Damaged labels are passed over: who uses them names them.
    """
    wanted = set(range(1, len(CLASSES) + 1))
    # far apart first: rare classes come in some scenarios and not in others
    spread = np.linspace(0, len(all_frames) - 1, min(frames, len(all_frames))).round().astype(int)
    for index in np.random.default_rng(0).permutation(spread):
        scenario, timestamp = all_frames[int(index)]
        try:
            frame = scenario.frame(timestamp)
        except DatasetError:
            continue
        wanted -= {item.label for agent in frame.agents.values() for item in agent.objects}
        if not wanted:
            break
    return [CLASSES[label - 1] for label in sorted(wanted)]


MAX_DRAWS = 100
"""Frames that are drawn for one sample before the dataset is given up."""

_LOGGER = logging.getLogger(__name__)


class SampleStream(Dataset[Sample | DatasetError]):
    """Numbered random, augmented samples of a dataset, without end.

    Sample n depends on the seed and on n alone, whoever makes it: neither the number of workers
    nor an interruption changes what is learned from. Every `len(stream)` samples in a row draw
    each frame once, in a new order.

    Args:
        root: a dataset in the V2X-Real or OPV2V layout.
        config: how frames become samples.
        anchors: the anchors.
        seed: seed of all that is random.
        skip_broken: take another frame where a file is damaged, and warn, once for each file.

    A class of which there is no object is warned about.

    Raises:
        DatasetError: if there is no scenario, or a file lacks its counterpart.
    """

    def __init__(
        self,
        root: Path,
        config: SampleConfig,
        anchors: AnchorSet,
        seed: int,
        *,
        skip_broken: bool = False,
    ) -> None:
        self.root = root
        self.frames = list_frames(root, skip_broken=skip_broken)
        absent = absent_classes(self.frames)
        if absent:
            _LOGGER.warning(
                "%s: no %s in its labels, as far as a look at some frames tells; what is trained"
                " will find none. Look through it with `doctor --data`",
                root,
                " and no ".join(absent),
            )
        self.config = config
        self.make = SampleMaker(config, anchors)
        self.seed = seed
        self._skip_broken = skip_broken
        self._order = (-1, np.zeros(0, np.int64))
        self._warned: set[Path] = set()

    def __len__(self) -> int:
        """Number of frames, that is of samples in an epoch."""
        return len(self.frames)

    def __getitem__(self, number: int) -> Sample | DatasetError:
        """Make a sample; an error of the dataset is returned, so that it survives a worker."""
        epoch, place = divmod(number, len(self.frames))
        if self._order[0] != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.frames))
            self._order = (epoch, order)
        rng = np.random.default_rng([self.seed, number, 1])
        index = int(self._order[1][place])
        for _ in range(MAX_DRAWS):
            try:
                sample = self._sample(*self.frames[index], rng)
            except DatasetError as error:
                if not self._skip_broken:
                    return error.with_hint("go on without damaged files: --skip-broken")
                self._warn(error)
            else:
                if sample is not None:
                    return sample
            index = int(rng.integers(len(self.frames)))
        return DatasetError(
            self.root,
            f"{MAX_DRAWS} frames drawn in a row are broken, have no point in range, or no ego for"
            f" mode {self.config.mode or 'any'}",
            "Look through it with `doctor --data`, or choose another mode",
        )

    def _sample(
        self, scenario: Scenario, timestamp: str, rng: np.random.Generator
    ) -> Sample | None:
        """Make a sample of one frame; None without an ego or without a point."""
        frame = scenario.frame(timestamp)
        agents = choose_agents(frame, self.config, rng)
        if not agents:
            return None
        sample = self.make(cooperative_frame(frame, agents, self.config), rng)
        return sample if len(sample.pillars.cells) else None

    def _warn(self, error: DatasetError) -> None:
        if error.path not in self._warned:
            self._warned.add(error.path)
            _LOGGER.warning("skipped: %s", error)


def list_frames(root: Path, *, skip_broken: bool = False) -> list[tuple[Scenario, str]]:
    """List every frame of a dataset as scenario and timestamp.

    Raises:
        DatasetError: if there is no scenario, or (unless skip_broken) a file lacks its counterpart.
    """
    scenarios = [Scenario.open(folder, skip_broken=skip_broken) for folder in find_scenarios(root)]
    for error in (error for scenario in scenarios for error in scenario.broken):
        _LOGGER.warning("skipped: %s", error)
    return [(scenario, stamp) for scenario in scenarios for stamp in scenario.timestamps]


def _read_clouds(frame: Frame, agents: Sequence[str]) -> None:
    """Read the clouds of some agents.

    Raises:
        DatasetError: if one is missing or damaged.
    """
    for agent in agents:
        frame[agent].points  # noqa: B018 - read at the first use


class ValidationSamples(Dataset[Sample | DatasetError]):
    """Whole frames, neither cropped nor augmented, spread evenly over a dataset.

    Args:
        root: a dataset in the V2X-Real or OPV2V layout.
        config: how frames become samples; nobody is `alone`.
        anchors: the anchors.
        frames: number of frames; 0 is all. Frames without an ego for the mode do not count.
        seed: seed of the choice of agents.
        skip_broken: leave frames with damaged files out, and warn.

    Raises:
        DatasetError: if there is no scenario, a file lacks its counterpart, or no frame has an ego
            for the mode.
    """

    def __init__(
        self,
        root: Path,
        config: SampleConfig,
        anchors: AnchorSet,
        *,
        frames: int = 0,
        seed: int = 0,
        skip_broken: bool = False,
    ) -> None:
        self.config = replace(config, alone=0.0)
        self.make = SampleMaker(self.config, anchors)
        listed = list_frames(root, skip_broken=skip_broken)
        if frames:
            spread = np.linspace(0, len(listed) - 1, min(frames, len(listed))).round()
            listed = [listed[int(index)] for index in spread]
        self.frames = []
        for number, (scenario, stamp) in enumerate(listed):
            rng = np.random.default_rng([seed, number])
            try:
                frame = scenario.frame(stamp)
                agents = choose_agents(frame, self.config, rng)
                if skip_broken:  # an epoch is too late to find a damaged cloud
                    _read_clouds(frame, agents)
            except DatasetError as error:
                if not skip_broken:
                    raise
                _LOGGER.warning("skipped: %s", error)
                continue
            if agents:
                self.frames.append((scenario, stamp, agents))
        if not self.frames:
            raise DatasetError(
                root, f"no frame has an ego for mode {config.mode}", "Choose another mode"
            )

    def part(self, rank: int, ranks: int) -> ValidationSamples:
        """Return every ranks-th frame from the rank-th on: one process's part."""
        part = copy(self)
        part.frames = self.frames[rank::ranks]
        return part

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample | DatasetError:
        """Make a sample; an error of the dataset is returned, so that it survives a worker."""
        scenario, stamp, agents = self.frames[index]
        try:
            return self.make(cooperative_frame(scenario.frame(stamp), agents, self.config))
        except DatasetError as error:
            return error
