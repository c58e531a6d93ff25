# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Learns the rounding of one block; see reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from quantv2x_ros.inference.cpu.processor import has_bfloat16
from quantv2x_ros.training.graphs.scales import QuantizationError
from quantv2x_ros.training.quantization.alignment import FusedMapAlignment
from quantv2x_ros.training.quantization.learnable import AdaptiveRounding, LearnableNodes
from quantv2x_ros.training.quantization.streams import Maps


@dataclass(frozen=True)
class ReconstructionConfig:
    """How blocks are reconstructed.

    Attributes:
        steps: optimizer steps of a block.
        batch: crops of a step.
        rounding_rate: learning rate of the rounding.
        step_rate: learning rate of the logarithm of the activations' steps.
        decision: weight of the term that makes the rounding decide.
        warm_up: share of the steps without that term.
        sharpness: exponent of that term, from the first value falling to the second.
        drop: probability that an input or activation stays real.
        alignment: weight of the fused map's error.
        window: size of the crops in x and y, metres.
        crops: crops of each frame.
        bfloat16: convolutions in bfloat16 while learning; by default where the processor has it.
        seed: seed of all draws.
    """

    steps: int = 300
    batch: int = 4
    rounding_rate: float = 0.03
    step_rate: float = 2e-3
    decision: float = 1.0
    warm_up: float = 0.2
    sharpness: tuple[float, float] = (20.0, 2.0)
    drop: float = 0.5
    alignment: float = 1.0
    window: tuple[float, float] = (38.4, 38.4)
    crops: int = 2
    bfloat16: bool = field(default_factory=has_bfloat16)
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise QuantizationError for values out of range."""
        if min(self.steps, self.batch, self.crops) < 1 or min(self.window) <= 0:
            raise QuantizationError("reconstruction: steps, batch, crops and window are positive")
        if not (0 <= self.drop < 1 and 0 <= self.warm_up < 1 and self.alignment >= 0):
            raise QuantizationError("reconstruction: drop and warm_up in [0, 1), alignment >= 0")

    def exponent(self, step: int) -> float | None:
        """Return the decision term's exponent at a step; None during the warm-up."""
        done = step / self.steps
        if done < self.warm_up:
            return None
        first, last = self.sharpness
        return last + (first - last) * (1 - (done - self.warm_up) / (1 - self.warm_up))


@dataclass(frozen=True)
class BlockTask:
    """What a block is to learn, on all crops.

    Attributes:
        real: its inputs in full precision, by name.
        rounded: its inputs as the quantized network makes them.
        output: name of its output.
        target: its output in full precision.
        error: mean square error of its output, weights rounded to the nearest.
        alignment: where the block ends a pyramid scale.
        fused_error: mean square error of the fused map, where there is one.
    """

    real: Mapping[str, Maps]
    rounded: Mapping[str, Maps]
    output: str
    target: Maps
    error: float
    alignment: FusedMapAlignment | None = None
    fused_error: float = 0.0

    def inputs(self, crops: Sequence[int], share: float) -> dict[str, torch.Tensor]:
        """Inputs of some crops, a random share of the elements real and the rest rounded."""
        mixed = {}
        for name, maps in self.real.items():
            real = torch.cat([maps[crop] for crop in crops])
            rounded = torch.cat([self.rounded[name][crop] for crop in crops])
            mixed[name] = torch.where(torch.rand_like(real) < share, real, rounded)
        return mixed

    def loss(self, out: torch.Tensor, crops: Sequence[int], alignment: float) -> torch.Tensor:
        """Error of an output of some crops, relative to that before; 1 is as bad as before."""
        wanted = torch.cat([self.target[crop] for crop in crops])
        loss = ((out - wanted) ** 2).mean() / max(self.error, 1e-12)
        if self.alignment is None or alignment == 0:
            return loss
        parts = list(out.split([len(self.target[crop]) for crop in crops]))
        fused = self.alignment.fused(parts, crops)
        errors = [
            ((one - self.alignment.target[crop]) ** 2).mean()
            for one, crop in zip(fused, crops, strict=True)
        ]
        return loss + alignment * torch.stack(errors).mean() / max(self.fused_error, 1e-12)


def learn_block(
    learned: LearnableNodes, task: BlockTask, config: ReconstructionConfig, seed: int
) -> None:
    """Optimize the rounding and the steps of a block in place."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of what stays real
    roundings = [w for w in learned.weights.values() if isinstance(w, AdaptiveRounding)]
    steps = list(dict.fromkeys(learned.steps.values()))
    optimizer = torch.optim.Adam(
        [
            {"params": [r.logits for r in roundings], "lr": config.rounding_rate},
            {"params": [s.log_ratio for s in steps], "lr": config.step_rate},
        ]
    )
    size = sum(r.logits.numel() for r in roundings)
    for step in range(config.steps):
        order = torch.randperm(len(task.target), generator=generator)
        crops = order[: config.batch].tolist()
        out = learned(task.inputs(crops, config.drop), config.drop)[task.output]
        loss = task.loss(out, crops, config.alignment)
        exponent = config.exponent(step)
        if exponent is not None:
            terms = [r.indecision(exponent) * (r.logits.numel() / size) for r in roundings]
            loss = loss + config.decision * torch.stack(terms).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
