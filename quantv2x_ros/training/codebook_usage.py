# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which codewords are used, and new places for those that are not."""

from __future__ import annotations

import torch
from torch import nn

from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.revqom import ReVQomCodebook


class CodebookUsage(nn.Module):
    """Counts the codewords that a codebook chose; its counts are saved with a checkpoint.

    Args:
        planes: levels times segments.
        size: codewords of each.
    """

    counts: torch.Tensor

    def __init__(self, planes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(planes, size, dtype=torch.float64))

    @torch.no_grad()
    def add(self, indices: torch.Tensor) -> None:
        """Count indices (N, planes, H, W), integers, of all processes that train together."""
        planes, size = self.counts.shape
        offsets = torch.arange(planes, device=indices.device)[None, :, None, None] * size
        flat = (indices.long() + offsets).reshape(-1)
        counts = torch.bincount(flat, minlength=planes * size).view(planes, size)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
        self.counts += counts

    def reset(self) -> None:
        """Start counting anew."""
        self.counts.zero_()

    def used(self) -> torch.Tensor:
        """Return the share of each plane's codewords that was chosen at all, (planes,)."""
        return (self.counts > 0).double().mean(dim=1)

    def perplexity(self) -> torch.Tensor:
        """Return 2 to the entropy of each plane's indices, (planes,): 1 to the codebook's size."""
        share = self.counts / self.counts.sum(dim=1, keepdim=True).clamp_min(1.0)
        entropy = -(share * share.clamp_min(1e-300).log2()).sum(dim=1)
        return torch.exp2(entropy)


@torch.no_grad()
def revive(
    codebook: TrainableCodebook | ReVQomCodebook,
    features: torch.Tensor,
    usage: CodebookUsage,
    generator: torch.Generator,
) -> int:
    """Move unused codewords to the features that their level codes worst.

    Args:
        codebook: changed in place.
        features: (P, C) float32 cells that are being coded.
        usage: what was chosen so far.
        generator: of the draw among those cells, with a chance that grows with their error.

    Returns:
        How many codewords were moved.
    """
    if isinstance(codebook, ReVQomCodebook):
        return _revive_stages(codebook, features, usage, generator)
    moved = 0
    segments = codebook.segments
    x = features
    for index, level in enumerate(codebook.ordered_levels()):
        latent = level.stage(x)
        wanted = level.head(latent)
        indices = level.assign(latent)
        error = (wanted - level.lookup(indices)).pow(2)
        width = error.shape[1] // segments
        for segment in range(segments):
            dead = torch.nonzero(usage.counts[index * segments + segment] == 0).flatten()
            part = slice(segment * width, (segment + 1) * width)
            weight = error[:, part].sum(dim=1).double() + 1e-9
            if len(dead) and len(dead) <= len(weight):
                drawn = torch.multinomial(weight.cpu(), len(dead), generator=generator)
                level.codebook[segment, dead] = wanted[drawn.to(wanted.device), part]
                moved += len(dead)
        if level.latent is not None:
            x = level.latent(latent) - level.lookup(level.assign(latent))
    return moved


def _revive_stages(
    codebook: ReVQomCodebook,
    features: torch.Tensor,
    usage: CodebookUsage,
    generator: torch.Generator,
) -> int:
    moved = 0
    rest = codebook.reduced(features.T[None, :, :, None])
    for index, stage in enumerate(codebook.ordered_stages()):
        dead = torch.nonzero(usage.counts[index] == 0).flatten()
        error = rest - stage.codewords[stage.assign(rest)]
        weight = error.pow(2).sum(dim=1).double() + 1e-9
        if len(dead) and len(dead) <= len(weight):
            drawn = torch.multinomial(weight.cpu(), len(dead), generator=generator)
            stage.move(dead, rest[drawn.to(rest.device)])
            moved += len(dead)
        rest = rest - stage.codewords[stage.assign(rest)]
    return moved
