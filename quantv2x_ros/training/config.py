# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training stage does, as a YAML file says it; every default is the published value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantv2x_ros.core.geometry.grid import V2X_REAL_RANGE, V2X_REAL_VOXEL, BevGrid
from quantv2x_ros.environment.typed_yaml import TypedYamlError, build, read_mapping
from quantv2x_ros.training.float_precision import FULL, PRECISIONS
from quantv2x_ros.training.losses import LossWeights
from quantv2x_ros.training.network import NetworkConfig
from quantv2x_ros.training.samples import SampleConfig


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a stage's configuration from a YAML file; what it does not name keeps its default.

    Args:
        path: the file.
        overrides: values of the first level that replace the file's.

    Raises:
        TrainingConfigError: naming the file, the key and what is allowed.
        OSError: the file cannot be read.
    """
    try:
        values = read_mapping(path)
    except TypedYamlError as error:
        raise TrainingConfigError(str(error)) from error
    try:
        return build(TrainingConfig, {**values, **(overrides or {})})
    except ValueError as error:
        raise TrainingConfigError(f"{path}: {error}") from error


class TrainingConfigError(ValueError):
    """A training configuration that is unreadable, incomplete or makes no sense."""


@dataclass(frozen=True)
class GridSection:
    """The grid: V2X-Real's by default, metres."""

    lidar_range: tuple[float, float, float, float, float, float] = V2X_REAL_RANGE
    voxel_size: tuple[float, float, float] = V2X_REAL_VOXEL


@dataclass(frozen=True)
class NetworkSection:
    """The network's shape, see `NetworkConfig`; stage 1 has no codebook, whatever it says."""

    score_gain: float = 1.0
    coded_ego: bool = True
    levels: int = 3
    segments: int = 1
    dict_size: int = 128
    codebook: str = "residual"
    reduced: int = 16
    groups: int = 4
    ema: float = 0.95
    architecture: str = NetworkConfig.architecture
    block: str = NetworkConfig.block
    shrink_norm: bool = False


@dataclass(frozen=True)
class SampleSection:
    """How frames become samples, see `SampleConfig`; no window means whole frames."""

    window: tuple[float, float] | None = None
    jitter: tuple[float, float] = (20.0, 12.0)
    reach: float = 110.0
    max_agents: int = 4
    mode: str = ""
    communication_range: float = 70.0
    flip: tuple[float, float] = (0.0, 0.5)
    rotation: float = 15.0
    scaling: tuple[float, float] = (0.95, 1.05)
    vehicle_ego: float = 0.75
    drop_points: float = 0.0
    alone: float = 0.0
    balance: float = 0.0
    hidden: float = 0.0
    clutter: float = 0.0
    turn_grids: bool = False
    level: bool = False
    keep_side: bool = False


@dataclass(frozen=True)
class OptimizerSection:
    """Optimizer and learning rate.

    Attributes:
        name: adam or adamw.
        learning_rate: at its highest.
        weight_decay: weight decay of the optimizer.
        milestones: epochs after which the rate is multiplied by `gamma`.
        gamma: see `milestones`.
        warm_up: steps with a linearly rising rate.
        decay: share of all steps, at the end, with a linearly falling rate.
        clip: largest norm of the gradient; 0 does not clip.
        average: decay of the running average of the weights that is validated and kept; 0 keeps
            the weights as they are.
    """

    name: str = "adam"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    milestones: tuple[int, ...] = (15, 25)
    gamma: float = 0.1
    warm_up: int = 0
    decay: float = 0.0
    clip: float = 0.0
    average: float = 0.0

    def __post_init__(self) -> None:
        """Raise TrainingConfigError for values out of range."""
        if self.name not in ("adam", "adamw"):
            raise TrainingConfigError(f"optimizer name must be adam or adamw, got {self.name!r}")
        if not 0.0 < self.learning_rate < 10.0 or not 0.0 < self.gamma <= 1.0:
            raise TrainingConfigError(
                "optimizer needs a learning_rate in (0, 10) and a gamma in (0, 1], got"
                f" {self.learning_rate} and {self.gamma}"
            )
        if not 0.0 <= self.decay <= 1.0 or not 0.0 <= self.average < 1.0 or self.warm_up < 0:
            raise TrainingConfigError(
                "optimizer needs a decay in [0, 1], an average in [0, 1) and a warm_up of 0 or"
                f" more, got {self.decay}, {self.average} and {self.warm_up}"
            )

    def factor(self, step: int, steps_per_epoch: int, steps: int) -> float:
        """Return what the learning rate is multiplied with at a step: above 0, up to 1."""
        passed = sum(step // steps_per_epoch >= milestone for milestone in self.milestones)
        rising = (step + 1) / (self.warm_up + 1)
        falling = (steps - step) / max(1.0, self.decay * steps)
        return float(self.gamma**passed * max(0.01, min(1.0, rising, falling)))


@dataclass(frozen=True)
class CodebookSection:
    """How the codebook learns.

    Attributes:
        sampling: nearest (the gradient goes straight through) or gumbel (noise on the choice while
            training; evaluation always takes the nearest).
        temperature: temperature of the Gumbel noise.
        kmeans_frames: frames whose features k-means makes a new codebook of; 0: random codewords.
        revive_every: steps after which codewords that nobody used are moved to where features are;
            0 never.
        bit_cost: squared error that a bit on the air is worth, against the codebook's mean squared
            error of a cell. Above 0, codewords are chosen by distance and by the bits that they
            cost, as counted when the stage starts; 0 leaves the prices as they are.
    """

    sampling: str = "nearest"
    temperature: float = 1.0
    kmeans_frames: int = 60
    revive_every: int = 200
    bit_cost: float = 0.0

    def __post_init__(self) -> None:
        """Raise TrainingConfigError for values out of range."""
        if not 0.0 <= self.bit_cost <= 10.0:
            raise TrainingConfigError(f"codebook bit_cost must lie in [0, 10], got {self.bit_cost}")
        if self.sampling not in ("nearest", "gumbel"):
            raise TrainingConfigError(
                f"codebook sampling must be nearest or gumbel, got {self.sampling!r}"
            )
        if not self.temperature > 0.0 or self.kmeans_frames < 0 or self.revive_every < 0:
            raise TrainingConfigError(
                "codebook needs a temperature above 0 and no negative kmeans_frames or"
                f" revive_every, got {self}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """One stage.

    Attributes:
        stage: 1 full precision without codebook, 2 the codebook alone, 3 everything together.
        frozen: besides what the stage freezes; `sender` keeps the indices' meaning.
        epochs: epochs.
        epoch_samples: samples an epoch; 0 is one a frame of the dataset.
        batch: frames a step and process.
        seed: seed of weights, samples and k-means.
        precision: of the convolutions: 32-true or bf16-mixed, Lightning's, or auto for bf16-mixed
            where the device multiplies bfloat16 and 32-true where it would emulate it.
        validate_frames: frames of the validation split after each epoch; 0 is all.
        save_every: steps between checkpoints to resume from, besides those of each epoch.
        revive_frames: frames on which channels behind the fusion that never fire are found when the
            stage starts, and made anew (see `revival`); 0: none are.
    """

    stage: int
    frozen: str = ""
    epochs: int = 20
    epoch_samples: int = 0
    batch: int = 4
    seed: int = 0
    precision: str = FULL
    validate_frames: int = 0
    save_every: int = 500
    revive_frames: int = 0
    grid: GridSection = field(default_factory=GridSection)
    network: NetworkSection = field(default_factory=NetworkSection)
    samples: SampleSection = field(default_factory=SampleSection)
    losses: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerSection = field(default_factory=OptimizerSection)
    codebook: CodebookSection = field(default_factory=CodebookSection)

    def __post_init__(self) -> None:
        """Raise TrainingConfigError for values out of range."""
        if self.stage not in (1, 2, 3):
            raise TrainingConfigError(f"stage must be 1, 2 or 3, got {self.stage}")
        if self.frozen not in ("", "sender"):
            raise TrainingConfigError(f"frozen must be empty or sender, got {self.frozen!r}")
        if self.precision not in PRECISIONS:
            raise TrainingConfigError(
                f"precision must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, got "
                f"{self.precision!r}"
            )
        if self.network.codebook == "revqom" and self.codebook.sampling != "nearest":
            raise TrainingConfigError(
                "revqom's codewords follow the nearest features: codebook.sampling must be nearest,"
                f" got {self.codebook.sampling}"
            )
        for name in ("epochs", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise TrainingConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("epoch_samples", "validate_frames", "seed", "revive_frames"):
            if getattr(self, name) < 0:
                raise TrainingConfigError(f"{name} must be 0 or more, got {getattr(self, name)}")

    def steps_per_epoch(self, samples: int, ranks: int) -> int:
        """Return the steps that some processes need for the samples of an epoch, at least 1."""
        return max(1, samples // (self.batch * ranks))

    def bev_grid(self) -> BevGrid:
        """Return the grid at inference."""
        return BevGrid(self.grid.lidar_range, self.grid.voxel_size)

    def network_config(self) -> NetworkConfig:
        """Return the network's configuration in this stage."""
        shape = dataclasses.asdict(self.network)
        if self.stage == 1:
            shape["levels"] = 0
        return NetworkConfig(grid=self.bev_grid(), **shape)

    def sample_config(self) -> SampleConfig:
        """Return how frames become samples."""
        values = {f.name: getattr(self.samples, f.name) for f in dataclasses.fields(self.samples)}
        return SampleConfig(grid=self.bev_grid(), **values)
