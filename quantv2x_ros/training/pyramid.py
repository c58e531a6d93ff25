# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pyramid fusion: ResNeXt features of three scales, warped and weighted.

See docs/network.md, "Pyramid fusion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.training.blocks import Bottleneck

#: blocks, stride of the first, middle channels, output channels
SCALES = ((3, 1, 128, 64), (5, 2, 256, 128), (8, 2, 512, 256))


def warp(maps: torch.Tensor, thetas: torch.Tensor) -> torch.Tensor:
    """Warp (N, C, H, W) by theta (N, 2, 3) float64.

    The sampling grid is made in float64 and cast: a float32 one differs by 3e-5 (docs/network.md,
    "Warp").
    """
    grid = functional.affine_grid(thetas.double(), list(maps.shape), align_corners=False)
    return functional.grid_sample(
        maps, grid.to(maps.dtype), mode="bilinear", padding_mode="zeros", align_corners=False
    )


def fuse_frame(features: torch.Tensor, scores: torch.Tensor, thetas: torch.Tensor) -> torch.Tensor:
    """Fuse one frame's agents into (1, C, H, W).

    Args:
        features: (N, C, H, W) float32 in each agent's own frame, ego first.
        scores: (N, 1, H, W) float32, positive.
        thetas: (N, 2, 3) float64.
    """
    warped, score = warp(features, thetas), warp(scores, thetas)
    reached = score != 0
    # not every cell is reached by an agent: a softmax over nothing is NaN, so weight it by hand
    peak = score.amax(0, keepdim=True)
    weight = torch.where(reached, torch.exp(score - peak), torch.zeros_like(score))
    weight = weight / weight.sum(0, keepdim=True).clamp_min(1e-12)
    return (weight * warped).sum(0, keepdim=True)


class PyramidMaps(NamedTuple):
    """One agent's pyramid in its own frame.

    Attributes:
        levels: three (1, C, h, w).
        scores: three (1, 1, h, w), positive; exactly 0 in cells that were not received.
    """

    levels: Sequence[torch.Tensor]
    scores: Sequence[torch.Tensor]


def fuse_agents(agents: Sequence[PyramidMaps], thetas: torch.Tensor) -> list[torch.Tensor]:
    """Fuse one frame's agents, the ego first, by (N, 2, 3) thetas: three levels (1, C, h, w)."""
    return [
        fuse_frame(
            torch.cat([agent.levels[index] for agent in agents]),
            torch.cat([agent.scores[index] for agent in agents]),
            thetas,
        )
        for index in range(len(SCALES))
    ]


class Pyramid(nn.Module):
    """Single-agent pyramid of any blocks, occupancy scores, and fusion.

    Args:
        score_gain: factor on the scores before the softmax over agents.
        levels: each makes a scale of the one before.
        channels: channels of each scale.
    """

    def __init__(
        self, score_gain: float, levels: Sequence[nn.Module], channels: Sequence[int]
    ) -> None:
        super().__init__()
        self.score_gain = score_gain
        self.levels = nn.ModuleList(levels)
        self.occupancy_heads = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in channels)
        for head in self.occupancy_heads:
            nn.init.constant_(head.bias, -3.0)  # type: ignore[arg-type]

    def extract(self, features: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the three levels (N, C_i, H_i, W_i) and occupancy logits (N, 1, H_i, W_i)."""
        levels, occupancy = [], []
        x = features
        for level, head in zip(self.levels, self.occupancy_heads, strict=True):
            x = level(x)
            levels.append(x)
            occupancy.append(head(x))
        return levels, occupancy

    def scores(self, occupancy: torch.Tensor) -> torch.Tensor:
        """Return fusion scores of occupancy logits, of the same shape, float32, positive."""
        return self.score_gain * (torch.sigmoid(occupancy.float()) + 1e-4)

    def fuse(
        self,
        levels: Sequence[torch.Tensor],
        occupancy: Sequence[torch.Tensor],
        thetas: torch.Tensor,
        agents: Sequence[int],
    ) -> list[torch.Tensor]:
        """Return the fused levels (B, C_i, H_i, W_i); ``agents`` counts each frame's agents."""
        fused = []
        for level, logits in zip(levels, occupancy, strict=True):
            frames = zip(
                level.float().split(list(agents)),
                self.scores(logits).split(list(agents)),
                thetas.split(list(agents)),
                strict=True,
            )
            fused.append(torch.cat([fuse_frame(f, s, t) for f, s, t in frames]))
        return fused


class PublishedPyramid(Pyramid):
    """The published pyramid: bottlenecks, and deblocks that bring its scales together."""

    def __init__(self, score_gain: float = 1.0) -> None:
        levels, channels = [], 64
        for blocks, stride, middle, out in SCALES:
            layers = [Bottleneck(channels, middle, out, stride)]
            layers += [Bottleneck(out, middle, out, 1) for _ in range(blocks - 1)]
            levels.append(nn.Sequential(*layers))
            channels = out
        super().__init__(score_gain, levels, [out for *_, out in SCALES])
        self.deblocks = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(out, 128, 2**i, 2**i, bias=False),
                nn.BatchNorm2d(128, eps=1e-3),
                nn.ReLU(),
            )
            for i, (*_, out) in enumerate(SCALES)
        )

    def merge(self, fused: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the levels, brought to one resolution and concatenated, (B, 384, H, W)."""
        return torch.cat([block(x) for block, x in zip(self.deblocks, fused, strict=True)], dim=1)
