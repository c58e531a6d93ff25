# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A dataset's splits for Lightning: epochs of samples that resume where they stopped."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path

import lightning

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.training.config import TrainingConfig
from quantv2x_ros.training.loader import SampleLoader, StepSampler, epoch_loader, validation_loader
from quantv2x_ros.training.samples import SampleMaker
from quantv2x_ros.training.stream import SampleStream, ValidationSamples


class EpochSampler(StepSampler):
    """The sample numbers of each step of one epoch.

    Every step's samples depend on its number alone, so an epoch that was interrupted goes on with
    the next step.

    Args:
        batch: samples a step and rank.
        steps: steps an epoch.
        rank: which of the processes that train together this is.
        ranks: how many there are.
    """

    def __init__(self, batch: int, steps: int, *, rank: int = 0, ranks: int = 1) -> None:
        super().__init__(batch, rank=rank, ranks=ranks)
        self.steps = steps
        self.epoch = 0
        #: Where Lightning looks for `set_epoch` of a batch sampler.
        self.sampler = self
        #: Steps that are done, of all epochs: a run that resumes starts here.
        self.done = 0

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Yield one list of sample numbers a step: what is left of the epoch."""
        first = max(self.epoch * self.steps, self.done)
        for step in range(first, (first // self.steps + 1) * self.steps):
            yield self.numbers(step)


def split_folder(data: Path, *names: str) -> Path:
    """Return the first of a dataset's splits that is there, or the dataset if it has none.

    Raises:
        DatasetError: if there are splits, but none of these names.
    """
    splits = [name for name in ("train", "validate", "test") if (data / name).is_dir()]
    for name in names:
        if name in splits:
            return data / name
    if splits:
        raise DatasetError(
            data, f"there is no split {' or '.join(names)}", f"There are {', '.join(splits)}"
        )
    return data


class SplitModule(lightning.LightningDataModule):
    """Training samples and validation frames of one dataset.

    Args:
        data: the dataset: a folder with splits, or of scenarios.
        config: the stage.
        anchors: the anchors.
        workers: processes that make samples, each process that trains.
        validation: another dataset to validate on; None takes the split `validate` or `test`, if
            there is one.
        skip_broken: go on without files that are damaged.

    Raises:
        DatasetError: if there is no scenario, or a file lacks its counterpart.
    """

    def __init__(
        self,
        data: Path,
        config: TrainingConfig,
        anchors: AnchorSet,
        *,
        workers: int = 0,
        validation: Path | None = None,
        skip_broken: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.workers = workers
        self._anchors = anchors
        self.stream = SampleStream(
            split_folder(data, "train"),
            config.sample_config(),
            anchors,
            config.seed,
            skip_broken=skip_broken,
        )
        if validation is None and any((data / name).is_dir() for name in ("validate", "test")):
            validation = split_folder(data, "validate", "test")
        self.validation: ValidationSamples | None = None
        if validation is not None:
            self.validation = ValidationSamples(
                validation,
                replace(config.sample_config(), window=None),
                anchors,
                frames=config.validate_frames,
                seed=config.seed,
                skip_broken=skip_broken,
            )
        self._done = 0

    @property
    def epoch_samples(self) -> int:
        """Samples of an epoch."""
        return self.config.epoch_samples or len(self.stream)

    def resume_at(self, step: int) -> None:
        """Start with this step's samples, counted over all epochs."""
        self._done = step

    def train_dataloader(self) -> SampleLoader:
        """Return the loader of this process's part of every step."""
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        steps = self.config.steps_per_epoch(self.epoch_samples, ranks)
        sampler = EpochSampler(self.config.batch, steps, rank=rank, ranks=ranks)
        sampler.done = self._done
        return epoch_loader(self.stream, sampler, workers=self.workers)

    def whole_frames(self) -> SampleLoader:
        """Return a loader of the training frames, not cropped, in an order of their own."""
        stream = copy(self.stream)
        stream.config = replace(stream.config, window=None)
        stream.make = SampleMaker(stream.config, self._anchors)
        return epoch_loader(stream, StepSampler(1), workers=self.workers)

    def val_dataloader(self) -> SampleLoader | list[SampleLoader]:
        """Return the loader of this process's part of the validation frames."""
        if self.validation is None:
            return []
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return validation_loader(self.validation.part(rank, ranks), workers=self.workers)
