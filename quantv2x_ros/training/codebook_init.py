# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A start for the residual codebook: k-means on the features of a trained encoder."""

from __future__ import annotations

import torch

from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.codebook_usage import CodebookUsage
from quantv2x_ros.training.revqom import ReVQomCodebook


@torch.no_grad()
def set_prices(
    codebook: TrainableCodebook, features: torch.Tensor, bit_cost: float
) -> torch.Tensor:
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
        indices, _, _ = codebook.encode(part)
        usage.add(indices.reshape(len(part), -1).T[None, :, :, None])
        errors.append((codebook.decode(indices) - part).pow(2).sum(dim=1))
    counts = usage.counts + 1.0  # a codeword that nobody chose is dear, but not without end
    bits = -(counts / counts.sum(dim=1, keepdim=True)).log2()
    cost = bit_cost * float(torch.cat(errors).mean())
    for level, level_bits in zip(levels, bits.split(codebook.segments), strict=True):
        level.price.copy_(cost * level_bits)
    return bits


def kmeans(
    points: torch.Tensor, size: int, *, iterations: int = 20, generator: torch.Generator
) -> torch.Tensor:
    """Cluster (P, C) into (size, C) by Lloyd's algorithm.

    Empty clusters are moved to the points that are farthest from their centres.

    Raises:
        ValueError: if there are fewer points than clusters.
    """
    if len(points) < size:
        raise ValueError(f"k-means: {len(points)} points are too few for {size} clusters")
    centres = points[torch.randperm(len(points), generator=generator)[:size]].clone()
    for _ in range(iterations):
        distance = torch.cdist(points, centres)
        nearest, owner = distance.min(dim=1)
        counts = torch.bincount(owner, minlength=size)
        sums = torch.zeros_like(centres).index_add_(0, owner, points)
        centres = sums / counts.clamp_min(1)[:, None]
        empty = torch.nonzero(counts == 0).flatten()
        if len(empty):
            centres[empty] = points[nearest.topk(len(empty)).indices]
    return centres


@torch.no_grad()
def initialise_codebook(
    codebook: TrainableCodebook | ReVQomCodebook, features: torch.Tensor, seed: int
) -> None:
    """Set every level's codewords by k-means on what the levels before leave over.

    A residual codebook's linear layers must still be the identity they are made as; ReVQom's
    bottleneck is set to the features' principal components. Most cells of a map are empty and
    alike, so cells are drawn with a probability that grows with their distance from the commonest
    feature: codewords go to where there is something to tell.

    Args:
        codebook: changed in place.
        features: (P, C) float32 cells of many maps.
        seed: seed of the draw and of k-means.
    """
    generator = torch.Generator().manual_seed(seed)
    background = features.median(dim=0).values
    interest = (features - background).norm(dim=1) + 1e-3
    drawn = torch.multinomial(interest, min(len(features), 60_000), True, generator=generator)
    if isinstance(codebook, ReVQomCodebook):
        _initialise_revqom(codebook, features, drawn, generator)
        return
    rest = torch.cat([features[drawn], background[None]])
    segments, size, width = codebook.ordered_levels()[0].codebook.shape
    for level in codebook.ordered_levels():
        for segment in range(segments):
            part = rest[:, segment * width : (segment + 1) * width]
            level.codebook[segment] = kmeans(part, size, generator=generator)
        rest = rest - level.lookup(level.assign(rest))


def _initialise_revqom(
    codebook: ReVQomCodebook,
    features: torch.Tensor,
    drawn: torch.Tensor,
    generator: torch.Generator,
) -> None:
    """Set bottleneck and way back by principal components, the stages by k-means.

    The group normalisation takes its statistics from all cells, as from one map.
    """
    picked = features[drawn]
    mean = picked.mean(dim=0)
    _, _, components = torch.linalg.svd(picked - mean, full_matrices=False)
    directions = components[: codebook.reduce.out_features]
    codebook.reduce.weight.copy_(directions)
    codebook.reduce.bias.copy_(-directions @ mean)
    cells = codebook.reduced(features.T[None, :, :, None])[drawn]
    ones = torch.ones(len(cells), 1)
    solution = torch.linalg.lstsq(torch.cat([cells, ones], dim=1), picked).solution
    codebook.restore.weight.copy_(solution[:-1].T)
    codebook.restore.bias.copy_(solution[-1])
    rest = cells
    for stage in codebook.ordered_stages():
        stage.start_at(kmeans(rest, len(stage.weight), generator=generator))
        rest = rest - stage.codewords[stage.assign(rest)]
