# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Feeds the trainer: batches of samples, made in worker processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.training.losses import TargetBatch
from quantv2x_ros.training.points import PillarInput
from quantv2x_ros.training.samples import Sample, SampleConfig, SampleError
from quantv2x_ros.training.stream import SampleStream, ValidationSamples


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
        boxes=torch.cat([s.targets.boxes for s in samples]),
        box_labels=torch.cat([s.targets.box_labels for s in samples]),
        box_counts=tuple(count for s in samples for count in s.targets.box_counts),
    )
    thetas = torch.cat([s.thetas for s in samples])
    return Sample(joined, thetas, targets), [s.pillars.agents for s in samples]


def _clean_processes() -> ForkServerContext:
    """Return what starts workers from a process that has no threads and no GPU.

    A copy of the training process would inherit the locks of its libraries' threads without the
    threads, and signal handlers that know its own process id.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


class StepSampler(Sampler[list[int]]):
    """Numbers of the samples of each step, without end.

    Args:
        batch: samples a step and rank.
        start: first step, that of a run that resumes.
        rank: which of the processes that train together this is.
        ranks: how many there are.
    """

    def __init__(self, batch: int, *, start: int = 0, rank: int = 0, ranks: int = 1) -> None:
        if batch < 1 or start < 0 or not 0 <= rank < ranks:
            raise SampleError(
                "a step needs a sample or more, a start of 0 or more and a rank below the number of"
                f" ranks, got batch {batch}, start {start}, rank {rank} of {ranks}"
            )
        self.batch, self.start, self.rank, self.ranks = batch, start, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        """Yield one list of sample numbers a step."""
        for step in count(self.start):
            yield self.numbers(step)

    def numbers(self, step: int) -> list[int]:
        """Return the numbers of this rank's samples of a step."""
        first = (step * self.ranks + self.rank) * self.batch
        return list(range(first, first + self.batch))


class SampleLoader(DataLoader[Any]):
    """A DataLoader that raises a dataset's error, named, in the process that trains."""

    def __iter__(self) -> Iterator[tuple[Sample, list[int]]]:  # type: ignore[override]
        """Yield batches: a sample of several frames, and the number of agents of each."""
        for item in super().__iter__():
            if isinstance(item, DatasetError):
                raise item
            yield item


def _collate_or_error(
    samples: Sequence[Sample | DatasetError],
) -> tuple[Sample, list[int]] | DatasetError:
    errors = [sample for sample in samples if isinstance(sample, DatasetError)]
    return errors[0] if errors else collate([s for s in samples if isinstance(s, Sample)])


def epoch_loader(
    stream: SampleStream, sampler: StepSampler, *, workers: int = 0, prefetch: int = 4
) -> SampleLoader:
    """Return a loader of the batches whose sample numbers a sampler gives.

    At most `workers` x `prefetch` batches wait in memory.
    """
    return SampleLoader(
        stream,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_or_error,
        prefetch_factor=prefetch if workers else None,
        multiprocessing_context=_clean_processes() if workers else None,
    )


def sample_loader(
    stream: SampleStream,
    *,
    batch: int = 1,
    workers: int = 0,
    prefetch: int = 2,
    start: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> SampleLoader:
    """Return a loader of endless batches.

    At most `workers` x `prefetch` batches wait in memory.

    Args:
        stream: the samples.
        batch: samples a step and rank.
        workers: processes that make samples; 0: the one that trains.
        prefetch: batches that each worker makes ahead.
        start: first step, that of a run that resumes.
        rank: which of the processes that train together this is.
        ranks: how many there are.
    """
    sampler = StepSampler(batch, start=start, rank=rank, ranks=ranks)
    return epoch_loader(stream, sampler, workers=workers, prefetch=prefetch)


def validation_loader(
    samples: ValidationSamples, *, batch: int = 1, workers: int = 0
) -> SampleLoader:
    """Return a loader that goes through whole frames once, in order."""
    return SampleLoader(
        samples,
        batch_size=batch,
        num_workers=workers,
        collate_fn=_collate_or_error,
        multiprocessing_context=_clean_processes() if workers else None,
    )


def training_loader(
    root: Path, config: SampleConfig, anchors: AnchorSet, *, seed: int, batch: int, workers: int
) -> Iterator[tuple[Sample, list[int]]]:
    """Return an endless stream of batches: a sample of several frames, and their agents."""
    stream = SampleStream(root, config, anchors, seed)
    return iter(sample_loader(stream, batch=batch, workers=workers, prefetch=4))
