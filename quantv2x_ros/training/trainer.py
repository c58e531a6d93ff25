# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: full precision first, then with the codebook."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from quantv2x_ros.training.losses import LossWeights, detection_losses, occupancy_loss
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.samples import Sample

Batches = Iterator[tuple[Sample, list[int]]]


@dataclass(frozen=True)
class TrainConfig:
    """Schedule of one run.

    Attributes:
        steps: optimizer steps.
        learning_rate: after the warm-up, until the decay.
        weight_decay: of AdamW.
        average: decay of the running average of the weights that is kept as the result.
        warm_up: fraction of the steps with a linearly rising learning rate.
        decay: fraction of the steps, at the end, with a linearly falling one.
        save_every: steps between checkpoints.
        report_every: steps between reports.
        bfloat16: autocast to bfloat16.
    """

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    average: float = 0.998
    warm_up: float = 0.05
    decay: float = 0.4
    save_every: int = 500
    report_every: int = 50
    bfloat16: bool = True

    def learning_rate_factor(self, step: int) -> float:
        """Return what the learning rate is multiplied with at a step: 0.01 to 1."""
        rising = (step + 1) / max(1.0, self.warm_up * self.steps)
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return max(0.01, min(1.0, rising, falling))


def save_network(network: torch.nn.Module, path: Path) -> None:
    """Write a state dict; a crash while writing leaves the file before untouched."""
    temporary = path.with_suffix(".partial")
    state = {k: v.detach().contiguous() for k, v in network.state_dict().items()}
    save_file(state, temporary)
    os.replace(temporary, path)


def load_network(network: torch.nn.Module, path: Path) -> list[str]:
    """Load a state dict; returns the names that the file does not have (a new codebook's).

    Raises:
        RuntimeError: for tensors of another shape, or of another architecture.
    """
    missing, unexpected = network.load_state_dict(load_file(path), strict=False)
    if unexpected:
        raise RuntimeError(f"{path}: holds tensors of another architecture: {unexpected[:5]}")
    wrong = [name for name in missing if not name.startswith("codebook.")]
    if wrong:
        raise RuntimeError(f"{path}: lacks {wrong[:5]}")
    return list(missing)


def step_losses(
    network: QuantV2XNetwork, sample: Sample, agents: list[int], weights: LossWeights
) -> dict[str, torch.Tensor]:
    """Run the network forward on a batch and return its weighted losses."""
    features = network.encode(sample.pillars)
    losses = {}
    if network.codebook is not None:
        features, _, codebook_loss = network.codebook(features)
        losses["codebook"] = weights.codebook * codebook_loss
    outputs, occupancy = network.detect(features, sample.thetas, agents)
    losses.update(detection_losses(outputs, sample.targets, weights))
    losses["occupancy"] = occupancy_loss(occupancy, sample.targets.occupancy, weights)
    return losses


def train(
    network: QuantV2XNetwork,
    batches: Batches,
    config: TrainConfig,
    weights: LossWeights,
    out: Path,
    report: Callable[[int, dict[str, float], float], None],
) -> None:
    """Train in place; on return the network holds the averaged weights.

    Args:
        network: the network; channels last is set here.
        batches: endless batches.
        config: the schedule.
        weights: of the losses.
        out: the averaged network is saved here every ``save_every`` steps and at the end.
        report: called with step, mean losses and seconds a step, every ``report_every`` steps.

    Raises:
        FloatingPointError: if the loss is no longer finite.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.average),
        use_buffers=True,
    )
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.learning_rate_factor)
    sums: dict[str, float] = {}
    started = time.monotonic()
    for step in range(1, config.steps + 1):
        sample, agents = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            losses = step_losses(network, sample, agents, weights)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"training: the loss is {float(total.detach())} at step {step}"
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach())
        every = config.report_every
        if step % every == 0:
            seconds = (time.monotonic() - started) / every
            report(step, {k: v / every for k, v in sums.items()}, seconds)
            sums, started = {}, time.monotonic()
        if step % config.save_every == 0:
            save_network(average.module, out)
    network.load_state_dict(average.module.state_dict())
    save_network(network, out)
