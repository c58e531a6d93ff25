# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The two training runs behind the default bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from quantv2x_ros.core.anchors import AnchorSet
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.training.codebook_init import initialise_codebook
from quantv2x_ros.training.loader import training_loader
from quantv2x_ros.training.losses import LossWeights
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.samples import SampleConfig
from quantv2x_ros.training.trainer import Batches, TrainConfig, load_network, train

#: V2X-Real's range in x and y. Two metres more below, so that a sensor on a pole of 5 m sees the
#: ground; one pillar in z, as published.
DEFAULT_GRID = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))

#: The agent that sees something outweighs those that do not (NETWORK, last section).
DEFAULT_SCORE_GAIN = 6.0

#: Frames whose features the codebook's k-means sees.
CODEBOOK_FRAMES = 60


@dataclass(frozen=True)
class Recipe:
    """One run.

    Attributes:
        data: dataset in the V2X-Real or OPV2V layout.
        out: where the network is saved (.safetensors).
        start: a network to start from; None for random weights.
        codebook: train with the residual codebook; if ``start`` has none, k-means makes one.
        schedule: steps and learning rate.
        freeze_sender: keep pillars, encoder and codebook of ``start`` as they are.
        seed: of weights, samples and k-means.
        batch: frames a step.
        workers: processes that make samples.
        window: size of the crops along x and y, metres.
        codebook_weight: of the codebook's loss. With the published 0.05 and a high learning rate,
            the features ran away from their codes here.
    """

    data: Path
    out: Path
    start: Path | None
    codebook: bool
    schedule: TrainConfig
    freeze_sender: bool = False
    seed: int = 0
    batch: int = 1
    workers: int = 1
    window: tuple[float, float] = (57.6, 51.2)
    codebook_weight: float = 1.0


def default_network(codebook: bool) -> QuantV2XNetwork:
    """Return the untrained network of the default bundle."""
    config = NetworkConfig(
        grid=DEFAULT_GRID, levels=3 if codebook else 0, score_gain=DEFAULT_SCORE_GAIN
    )
    return QuantV2XNetwork(config)


@torch.no_grad()
def collect_features(network: QuantV2XNetwork, batches: Batches, frames: int) -> torch.Tensor:
    """Return the cells (P, 64) of the encoder's maps of some batches, one in three."""
    network.eval()
    cells = []
    for _ in range(frames):
        sample, _ = next(batches)
        maps = network.encode(sample.pillars).float()
        cells.append(maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])[::3])
    return torch.cat(cells)


def run(recipe: Recipe, report: Callable[[int, dict[str, float], float], None]) -> None:
    """Train as the recipe says; see `trainer.train` for ``report``.

    Raises:
        DatasetError: for a dataset without scenarios.
        RuntimeError: if ``start`` does not fit the network.
    """
    torch.manual_seed(recipe.seed)
    sampling = SampleConfig(DEFAULT_GRID, window=recipe.window)
    batches = training_loader(
        recipe.data,
        sampling,
        AnchorSet.v2x_real(),
        seed=recipe.seed,
        batch=recipe.batch,
        workers=recipe.workers,
    )
    network = default_network(recipe.codebook)
    missing = load_network(network, recipe.start) if recipe.start else []
    if network.codebook is not None and missing:
        features = collect_features(network, batches, CODEBOOK_FRAMES)
        initialise_codebook(network.codebook, features, recipe.seed)
    if recipe.freeze_sender:
        network.freeze_sender()
    weights = LossWeights(codebook=recipe.codebook_weight)
    train(network, batches, recipe.schedule, weights, recipe.out, report)
