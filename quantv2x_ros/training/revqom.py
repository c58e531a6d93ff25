# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ReVQom's codebook as a torch module (arXiv 2509.21464): bottleneck, then residual stages.

A cell's feature is reduced to a few channels and normalised over the map, then coded by stages
that each look the rest up that the stages before left. Codewords follow the features they stand
for by running averages; gradients train the bottleneck and the affine way back alone.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.training.codebook import Noise, Quantized

#: Added to the variance of the group normalisation.
NORM_EPSILON = 1e-5

#: Weight of the commitment of reduced features to their codewords (arXiv 1711.00937).
COMMITMENT = 0.25

#: Weight of the loss that keeps the bottleneck's channels at right angles. The codewords get no
#: gradient, so they cannot be what it acts on.
ORTHOGONALITY = 1e-4


class RunningCodewords(nn.Module):
    """One stage: k codewords that are running averages of what they stand for.

    Args:
        size: codewords k.
        width: their channels.
        decay: decay of the running averages, 0.8 to 0.99.
    """

    codewords: torch.Tensor
    weight: torch.Tensor
    total: torch.Tensor

    def __init__(self, size: int, width: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        start = torch.randn(size, width) * 0.5
        self.register_buffer("codewords", start)
        self.register_buffer("weight", torch.ones(size))
        self.register_buffer("total", start.clone())

    def assign(self, x: torch.Tensor) -> torch.Tensor:
        """Return the nearest codes' indices (P,) of cells (P, d); the lowest on a tie."""
        scores = (self.codewords**2).sum(-1) - 2 * x @ self.codewords.T
        return scores.argmin(-1)

    @torch.no_grad()
    def start_at(self, centres: torch.Tensor) -> None:
        """Set the codewords to centres (k, d)."""
        self.codewords.copy_(centres)
        self.total.copy_(centres)
        self.weight.fill_(1.0)

    @torch.no_grad()
    def move(self, which: torch.Tensor, to: torch.Tensor) -> None:
        """Put some codewords, by number (n,), to other places (n, d)."""
        self.codewords[which] = to
        self.total[which] = to
        self.weight[which] = 1.0

    @torch.no_grad()
    def follow(self, x: torch.Tensor, indices: torch.Tensor) -> None:
        """Move codewords towards the mean of the cells (P, d) that took them."""
        counts = torch.bincount(indices, minlength=len(self.weight)).to(x.dtype)
        sums = torch.zeros_like(self.total).index_add_(0, indices, x)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
            torch.distributed.all_reduce(sums)
        self.weight.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.total.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        self.codewords.copy_(self.total / self.weight.clamp_min(1e-5)[:, None])


class ReVQomCodebook(nn.Module):
    """Codes every cell with n_q stages of log2(k) bits.

    Args:
        channels: C of the feature.
        reduced: channels d after the bottleneck.
        groups: groups of the group normalisation; d is a multiple.
        stages: n_q, 1 to 8.
        size: codewords a stage.
        decay: decay of the codewords' running averages.
    """

    def __init__(
        self,
        channels: int = 64,
        reduced: int = 16,
        groups: int = 4,
        stages: int = 3,
        size: int = 64,
        decay: float = 0.95,
    ) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, reduced)
        self.norm = nn.GroupNorm(groups, reduced, eps=NORM_EPSILON)
        self.stages = nn.ModuleList(RunningCodewords(size, reduced, decay) for _ in range(stages))
        self.restore = nn.Linear(reduced, channels)

    def ordered_stages(self) -> list[RunningCodewords]:
        """Return the stages, coarsest first."""
        return [stage for stage in self.stages if isinstance(stage, RunningCodewords)]

    @property
    def shape(self) -> tuple[int, int]:
        """Planes (the stages) and codewords of each."""
        return len(self.stages), len(self.ordered_stages()[0].weight)

    def reduced(self, features: torch.Tensor) -> torch.Tensor:
        """Return the cells (N * H * W, d) of maps (N, C, H, W), normalised map by map."""
        cells = self.reduce(features.permute(0, 2, 3, 1))
        normed = self.norm(cells.permute(0, 3, 1, 2))
        return normed.permute(0, 2, 3, 1).reshape(-1, normed.shape[1])

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return indices (P, n_q) of reduced cells (P, d), and their codewords' sum (P, d)."""
        indices, total = [], torch.zeros_like(x)
        for stage in self.ordered_stages():
            index = stage.assign(x - total)
            if self.training:
                stage.follow(x - total, index)
            total = total + stage.codewords[index]
            indices.append(index)
        return torch.stack(indices, dim=1), total

    def orthogonality(self) -> torch.Tensor:
        """Return the mean squared cosine between the rows of the bottleneck."""
        rows = functional.normalize(self.reduce.weight, dim=1)
        gram = rows @ rows.T
        return (gram - torch.eye(len(gram), device=gram.device)).pow(2).mean()

    def forward(self, features: torch.Tensor, noise: Noise | None = None) -> Quantized:
        """Code and decode (N, C, H, W) in float32, with a straight-through gradient.

        Raises:
            ValueError: for Gumbel noise, which running averages cannot use.
        """
        if noise is not None:
            raise ValueError(
                "ReVQom's codewords follow the nearest features: set sampling: nearest"
            )
        n, c, h, w = features.shape
        with torch.autocast(features.device.type, enabled=False):
            maps = features.float()
            x = self.reduced(maps)
            with torch.no_grad():
                indices, words = self.encode(x)
            decoded = self.restore(x + (words - x).detach())
            flat = maps.permute(0, 2, 3, 1).reshape(-1, c)
            loss = functional.mse_loss(decoded, flat.detach())
            loss = loss + COMMITMENT * functional.mse_loss(x, words)
            loss = loss + ORTHOGONALITY * self.orthogonality()
        planes = indices.reshape(n, h, w, -1).permute(0, 3, 1, 2).to(torch.uint8)
        return Quantized(decoded.view(n, h, w, c).permute(0, 3, 1, 2), planes, loss)
