# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the heads and of the occupancy scores (arXiv 2509.03704, training details)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional

from quantv2x_ros.training.head_outputs import HeadOutputs


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts; the defaults are the published ones.

    Attributes:
        focal_alpha: balance of positives in the focal loss.
        focal_gamma: focus on hard anchors.
        positive: factor on positives in the classification loss.
        box: weight of the box regression.
        sigma: sigma of the smooth L1 loss.
        direction: weight of the direction bins.
        occupancy: weights of the occupancy at the pyramid's three scales.
        codebook: weight of the codebook's loss.
    """

    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    positive: float = 2.0
    box: float = 2.0
    sigma: float = 3.0
    direction: float = 0.2
    occupancy: tuple[float, float, float] = (0.4, 0.2, 0.1)
    codebook: float = 0.05


class TargetBatch(NamedTuple):
    """Targets of B frames as tensors.

    Attributes:
        labels: (B, A) int64: -1 ignored, 0 background, else class.
        positives: (K,) int64 indices into the flattened (B * A) anchors.
        deltas: (K, 7) float32.
        directions: (K,) int64.
        occupancy: (sum of agents, 1, H, W) float32, in each agent's own frame.
        boxes: (G, 7) float32 truth of all frames, in each ego's frame.
        box_labels: (G,) int64.
        box_counts: boxes of each frame.
    """

    labels: torch.Tensor
    positives: torch.Tensor
    deltas: torch.Tensor
    directions: torch.Tensor
    occupancy: torch.Tensor
    boxes: torch.Tensor
    box_labels: torch.Tensor
    box_counts: tuple[int, ...]


def focal(logits: torch.Tensor, target: torch.Tensor, alpha: float, gamma: float) -> torch.Tensor:
    """Sigmoid focal loss, elementwise (arXiv 1708.02002)."""
    probability = torch.sigmoid(logits)
    hit = target * probability + (1 - target) * (1 - probability)
    balance = target * alpha + (1 - target) * (1 - alpha)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return balance * (1 - hit) ** gamma * entropy


def smooth_l1(difference: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth L1, quadratic below 1 / sigma^2, elementwise."""
    size = difference.abs()
    edge = 1.0 / sigma**2
    return torch.where(size < edge, 0.5 * (sigma * size) ** 2, size - 0.5 * edge)


def anchor_rows(output: torch.Tensor, width: int) -> torch.Tensor:
    """Bring (B, anchors * width, H, W) to (B * H * W * anchors, width) in flat anchor order."""
    return output.float().permute(0, 2, 3, 1).reshape(-1, width)


def detection_losses(
    outputs: HeadOutputs, target: TargetBatch, weights: LossWeights
) -> dict[str, torch.Tensor]:
    """Return the weighted classification, box and direction losses.

    All are divided by the number of positive anchors in the batch.
    """
    classes = outputs.cls.shape[1] // (outputs.dir.shape[1] // 2)
    logits = anchor_rows(outputs.cls, classes)
    labels = target.labels.reshape(-1)
    wanted = functional.one_hot(labels.clamp_min(0), classes + 1)[:, 1:].to(logits.dtype)
    loss = focal(logits, wanted, weights.focal_alpha, weights.focal_gamma)
    factor = torch.where(labels > 0, weights.positive, 1.0) * (labels >= 0)
    count = max(1, len(target.positives))
    classification = (loss * factor[:, None]).sum() / count
    deltas = anchor_rows(outputs.reg, 7)[target.positives]
    difference = deltas - target.deltas
    # the sine makes half a turn no error: the direction bins tell the two apart
    difference = torch.cat([difference[:, :6], torch.sin(difference[:, 6:])], dim=1)
    box = smooth_l1(difference, weights.sigma).sum() / count
    bins = anchor_rows(outputs.dir, 2)[target.positives]
    direction = functional.cross_entropy(bins, target.directions, reduction="sum") / count
    return {
        "cls": classification,
        "box": weights.box * box,
        "dir": weights.direction * direction,
    }


def occupancy_loss(
    logits: Sequence[torch.Tensor], occupied: torch.Tensor, weights: LossWeights
) -> torch.Tensor:
    """Return the focal loss of every level's occupancy, divided by its occupied cells."""
    total = occupied.new_zeros(())
    for level, weight in zip(logits, weights.occupancy, strict=True):
        factor = occupied.shape[-1] // level.shape[-1]
        wanted = functional.max_pool2d(occupied, factor) if factor > 1 else occupied
        loss = focal(level.float(), wanted, weights.focal_alpha, weights.focal_gamma)
        total = total + weight * loss.sum() / wanted.sum().clamp_min(1)
    return total
