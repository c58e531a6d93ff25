# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The residual codebook as a torch module.

See docs/network.md, "Codebook", and arXiv 2509.03704, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import nn


class Quantized(NamedTuple):
    """What the codebook makes of features.

    Attributes:
        features: (N, C, H, W) decoded features, with a straight-through gradient.
        indices: (N, levels * segments, H, W) uint8.
        loss: scalar codebook loss (reconstruction and commitment).
    """

    features: torch.Tensor
    indices: torch.Tensor
    loss: torch.Tensor


@dataclass(frozen=True)
class Noise:
    """Gumbel noise on the choice of codewords while training.

    Attributes:
        temperature: temperature of the softmax; lower is closer to the nearest codeword.
        generator: on the CPU.
    """

    temperature: float
    generator: torch.Generator


class CodebookLevel(nn.Module):
    """One level: its layers and its (segments, k, C / segments) codebook.

    Attributes:
        price: (segments, k), what is added to the squared distance of each codeword when one is
            chosen; see `codebook_prices`.
    """

    price: torch.Tensor

    def __init__(self, channels: int, segments: int, size: int, last: bool) -> None:
        super().__init__()
        self.stage = nn.Linear(channels, channels)
        self.head = nn.Linear(channels, channels)
        self.latent = None if last else nn.Linear(channels, channels)
        self.dequantization = nn.Linear(channels, channels)
        self.side = None if last else nn.Linear(channels, channels)
        self.restore = nn.Linear(channels, channels)
        self.codebook = nn.Parameter(torch.randn(segments, size, channels // segments) * 0.1)
        self.register_buffer("price", torch.zeros(segments, size))
        for layer in self.children():
            # the identity everywhere makes the start a plain residual vector quantizer
            nn.init.eye_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def distances(self, latent: torch.Tensor) -> torch.Tensor:
        """Return squared distances (segments, P, k) of stage outputs (P, C), but for |h|^2.

        Prices are in them.
        """
        segments, _, width = self.codebook.shape
        target = self.head(latent).view(-1, segments, width).transpose(0, 1)
        norms: torch.Tensor = (self.codebook**2).sum(-1)[:, None]
        return norms - 2 * target @ self.codebook.transpose(1, 2) + self.price[:, None]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Checkpoints without prices are those of codebooks that have none."""
        state_dict.setdefault(prefix + "price", torch.zeros_like(self.price))
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[no-untyped-call]

    def assign(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the indices (P, segments) of the codes nearest to stage outputs (P, C)."""
        return self.distances(latent).argmin(-1).transpose(0, 1)

    def sample(self, latent: torch.Tensor, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw indices (P, segments) by Gumbel noise, and codewords (P, C) with a soft gradient.

        The nearer a codeword, the likelier; the gradient is that of the softmax over codewords
        (arXiv 1611.01144, straight-through), so that codewords not drawn learn too.
        """
        logits = -self.distances(latent)
        uniform = torch.rand(logits.shape, generator=noise.generator).to(logits)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
        soft = torch.softmax((logits + gumbel) / noise.temperature, dim=-1)
        indices = soft.argmax(-1)
        hard = torch.nn.functional.one_hot(indices, soft.shape[-1]).to(soft.dtype)
        words = (hard + soft - soft.detach()) @ self.codebook
        return indices.transpose(0, 1), words.transpose(0, 1).reshape(len(latent), -1)

    def lookup(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the codewords (P, C) of indices (P, segments)."""
        parts = [self.codebook[s][indices[:, s]] for s in range(self.codebook.shape[0])]
        return torch.cat(parts, dim=1)


class TrainableCodebook(nn.Module):
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
    def shape(self) -> tuple[int, int]:
        """Planes (levels times segments) and codewords of each."""
        segments, size, _ = self.ordered_levels()[0].codebook.shape
        return len(self.levels) * segments, size

    @property
    def segments(self) -> int:
        """Segments of a codeword."""
        return self.ordered_levels()[0].codebook.shape[0]

    def encode(
        self, x: torch.Tensor, noise: Noise | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Code cells (P, C).

        Returns:
            Codes (P, levels, segments) int64, the codewords (P, C) of each level, and the
            commitment loss.
        """
        indices, words, commitment = [], [], x.new_zeros(())
        for level in self.ordered_levels():
            latent = level.stage(x)
            if noise is None:
                with torch.no_grad():
                    index = level.assign(latent)
                word = level.lookup(index)
            else:
                index, word = level.sample(latent, noise)
            target = level.head(latent)
            commitment = commitment + ((target - word.detach()) ** 2).mean()
            if noise is None:
                # straight through: what decoding wants moves both the codeword and the layers that
                # chose it, which commitment alone would let collapse
                word = word + (target - target.detach())
            indices.append(index)
            words.append(word)
            if level.latent is not None:
                x = level.latent(latent) - word.detach()
        return torch.stack(indices, dim=1), words, commitment

    def decode(self, indices: torch.Tensor) -> torch.Tensor:
        """Return features (P, C) of indices (P, levels, segments)."""
        levels = self.ordered_levels()
        return self.restore([level.lookup(indices[:, i]) for i, level in enumerate(levels)])

    def restore(self, words: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return features (P, C) of each level's codewords (P, C)."""
        out: torch.Tensor | None = None
        levels = self.ordered_levels()
        for index in range(len(levels) - 1, -1, -1):
            level = levels[index]
            q = level.dequantization(words[index])
            if out is not None and level.side is not None:
                q = q + level.side(out)
            out = level.restore(q)
        assert out is not None
        return out

    def forward(self, features: torch.Tensor, noise: Noise | None = None) -> Quantized:
        """Code and decode (N, C, H, W); always in float32: bf16 distances change the indices.

        Without noise every cell takes its nearest codewords, in training as in evaluation.
        """
        n, c, h, w = features.shape
        with torch.autocast(features.device.type, enabled=False):
            flat = features.float().permute(0, 2, 3, 1).reshape(-1, c)
            indices, words, commitment = self.encode(flat.detach(), noise)
            decoded = self.restore(words)
            loss = ((decoded - flat.detach()) ** 2).mean() + 0.25 * commitment
            loss = loss + 0.25 * ((flat - decoded.detach()) ** 2).mean()
            passed = decoded + (flat - flat.detach())
        planes = indices.reshape(n, h, w, -1).permute(0, 3, 1, 2).to(torch.uint8)
        return Quantized(passed.view(n, h, w, c).permute(0, 3, 1, 2), planes, loss)
