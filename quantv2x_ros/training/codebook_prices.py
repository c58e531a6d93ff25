# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prices of codewords: a cell takes a codeword that is nearly as near and costs fewer bits.

Entropy-constrained vector quantization (Chou, Lookabaugh and Gray, IEEE Transactions on Acoustics,
Speech, and Signal Processing 37 (1), 1989). Only the sender's choice changes: whoever decodes needs
the codewords alone.
"""

from __future__ import annotations

import torch

from quantv2x_ros.training.codebook import ResidualCodebook
from quantv2x_ros.training.codebook_usage import CodebookUsage


@torch.no_grad()
def set_prices(codebook: ResidualCodebook, features: torch.Tensor, bit_cost: float) -> torch.Tensor:
    """Price each codeword by the bits that it takes.

    Args:
        codebook: changed in place; earlier prices are forgotten.
        features: (P, C) float32 cells of whole maps, background included.
        bit_cost: see `CodebookSection`.

    Returns:
        (planes, k) float64, bits of each codeword: -log2 of how often features chose it without a
        price.
    """
    levels = codebook.ordered_levels()
    for level in levels:
        level.price.zero_()
    usage = CodebookUsage(*codebook.shape)
    errors = []
    for part in features.split(1 << 16):
        codes, _, _ = codebook.encode(part)
        usage.add(codes.reshape(len(part), -1).T[None, :, :, None])
        errors.append((codebook.decode(codes) - part).pow(2).sum(dim=1))
    counts = usage.counts + 1.0  # a codeword that nobody chose is dear, but not without end
    bits = -(counts / counts.sum(dim=1, keepdim=True)).log2()
    cost = bit_cost * float(torch.cat(errors).mean())
    for level, level_bits in zip(levels, bits.split(codebook.segments), strict=True):
        level.price.copy_(cost * level_bits)
    return bits
