# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The residual codebook as a torch module (NETWORK section 3; arXiv 2509.03704 section 3.2)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import nn


class Quantized(NamedTuple):
    """What the codebook makes of features.

    Attributes:
        features: (N, C, H, W) decoded features, with a straight-through gradient.
        codes: (N, levels * segments, H, W) uint8.
        loss: scalar codebook loss (reconstruction and commitment).
    """

    features: torch.Tensor
    codes: torch.Tensor
    loss: torch.Tensor


class CodebookLevel(nn.Module):
    """One level: its layers and its (segments, k, C / segments) codebook."""

    def __init__(self, channels: int, segments: int, size: int, last: bool) -> None:
        super().__init__()
        self.stage = nn.Linear(channels, channels)
        self.head = nn.Linear(channels, channels)
        self.latent = None if last else nn.Linear(channels, channels)
        self.dequantization = nn.Linear(channels, channels)
        self.side = None if last else nn.Linear(channels, channels)
        self.restore = nn.Linear(channels, channels)
        self.codebook = nn.Parameter(torch.randn(segments, size, channels // segments) * 0.1)
        for layer in self.children():
            # the identity everywhere makes the start a plain residual vector quantizer
            nn.init.eye_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def assign(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the nearest codes (P, segments) of stage outputs (P, C); lowest index on a tie."""
        segments, _, width = self.codebook.shape
        target = self.head(latent).view(-1, segments, width).transpose(0, 1)
        score = (self.codebook**2).sum(-1)[:, None] - 2 * target @ self.codebook.transpose(1, 2)
        return score.argmin(-1).transpose(0, 1)

    def lookup(self, codes: torch.Tensor) -> torch.Tensor:
        """Return codewords (P, C) of codes (P, segments)."""
        parts = [self.codebook[s][codes[:, s]] for s in range(self.codebook.shape[0])]
        return torch.cat(parts, dim=1)


class ResidualCodebook(nn.Module):
    """Residual vector quantization of every cell on its own.

    Args:
        channels: C of the feature.
        levels: residual levels, 1 to 3.
        segments: parts a codeword is split into.
        size: codewords a level and segment.
    """

    def __init__(
        self, channels: int = 64, levels: int = 3, segments: int = 1, size: int = 128
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            CodebookLevel(channels, segments, size, last=i == levels - 1) for i in range(levels)
        )

    def ordered_levels(self) -> list[CodebookLevel]:
        """Return the levels, coarsest first."""
        return [cast(CodebookLevel, level) for level in self.levels]

    @property
    def segments(self) -> int:
        """Segments of a codeword."""
        return self.ordered_levels()[0].codebook.shape[0]

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes (P, levels, segments) int64 of (P, C) and the commitment loss."""
        codes, commitment = [], x.new_zeros(())
        for level in self.ordered_levels():
            latent = level.stage(x)
            with torch.no_grad():
                code = level.assign(latent)
            word = level.lookup(code)
            commitment = commitment + ((level.head(latent) - word.detach()) ** 2).mean()
            codes.append(code)
            if level.latent is not None:
                x = level.latent(latent) - word.detach()
        return torch.stack(codes, dim=1), commitment

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Return features (P, C) of codes (P, levels, segments)."""
        out: torch.Tensor | None = None
        levels = self.ordered_levels()
        for index in range(len(levels) - 1, -1, -1):
            level = levels[index]
            q = level.dequantization(level.lookup(codes[:, index]))
            if out is not None and level.side is not None:
                q = q + level.side(out)
            out = level.restore(q)
        assert out is not None
        return out

    def forward(self, features: torch.Tensor) -> Quantized:
        """Code and decode (N, C, H, W); always in float32: bf16 distances change the codes."""
        n, c, h, w = features.shape
        with torch.autocast(features.device.type, enabled=False):
            flat = features.float().permute(0, 2, 3, 1).reshape(-1, c)
            codes, commitment = self.encode(flat.detach())
            decoded = self.decode(codes)
            loss = ((decoded - flat.detach()) ** 2).mean() + 0.25 * commitment
            loss = loss + 0.25 * ((flat - decoded.detach()) ** 2).mean()
            passed = decoded + (flat - flat.detach())
        planes = codes.reshape(n, h, w, -1).permute(0, 3, 1, 2).to(torch.uint8)
        return Quantized(passed.view(n, h, w, c).permute(0, 3, 1, 2), planes, loss)
