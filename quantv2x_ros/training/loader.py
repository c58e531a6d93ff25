# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Feeds the trainer: endless random samples of a dataset, made in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from quantv2x_ros.core.anchors import AnchorSet
from quantv2x_ros.data.scenario import Scenario, find_scenarios
from quantv2x_ros.training.cooperative_frame import CooperativeFrame
from quantv2x_ros.training.losses import TargetBatch
from quantv2x_ros.training.points import PillarInput
from quantv2x_ros.training.samples import Sample, SampleConfig, SampleMaker, choose_agents


def collate(samples: Sequence[Sample]) -> tuple[Sample, list[int]]:
    """Join samples of one crop size; also return the number of agents of each."""
    shape = samples[0].pillars.shape
    area = shape[0] * shape[1]
    anchors = samples[0].targets.labels.shape[1]
    features, point_pillar, counts, cells, positives = [], [], [], [], []
    agents_before = pillars_before = 0
    for index, sample in enumerate(samples):
        pillars = sample.pillars
        features.append(pillars.features)
        point_pillar.append(pillars.point_pillar + pillars_before)
        counts.append(pillars.counts)
        cells.append(pillars.cells + agents_before * area)
        positives.append(sample.targets.positives + index * anchors)
        agents_before += pillars.agents
        pillars_before += len(pillars.counts)
    joined = PillarInput(
        torch.cat(features),
        torch.cat(point_pillar),
        torch.cat(counts),
        torch.cat(cells),
        agents_before,
        shape,
    )
    targets = TargetBatch(
        labels=torch.cat([s.targets.labels for s in samples]),
        positives=torch.cat(positives),
        deltas=torch.cat([s.targets.deltas for s in samples]),
        directions=torch.cat([s.targets.directions for s in samples]),
        occupancy=torch.cat([s.targets.occupancy for s in samples]),
    )
    thetas = torch.cat([s.thetas for s in samples])
    return Sample(joined, thetas, targets), [s.pillars.agents for s in samples]


class RandomSamples(IterableDataset[Sample]):
    """An endless stream of random, augmented samples.

    Args:
        root: a dataset in the V2X-Real or OPV2V layout.
        config: how frames become samples.
        anchors: the anchors.
        seed: the stream's seed; every worker draws a stream of its own from it.

    Raises:
        DatasetError: if there is no scenario.
    """

    def __init__(self, root: Path, config: SampleConfig, anchors: AnchorSet, seed: int) -> None:
        super().__init__()
        self.frames = [
            (scenario, timestamp)
            for scenario in map(Scenario.open, find_scenarios(root))
            for timestamp in scenario.timestamps
        ]
        self.config = config
        self.make = SampleMaker(config, anchors)
        self.seed = seed

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples for ever."""
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            scenario, timestamp = self.frames[int(rng.integers(len(self.frames)))]
            frame = scenario.frame(timestamp)
            agents = choose_agents(frame, self.config, rng)
            sample = self.make(CooperativeFrame.from_frame(frame, agents), rng)
            if len(sample.pillars.cells):
                yield sample


def training_loader(
    root: Path, config: SampleConfig, anchors: AnchorSet, *, seed: int, batch: int, workers: int
) -> Iterator[tuple[Sample, list[int]]]:
    """Return an endless stream of batches: a sample of several frames, and their agents."""
    loader: DataLoader[Sample] = DataLoader(
        RandomSamples(root, config, anchors, seed),
        batch_size=batch,
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
