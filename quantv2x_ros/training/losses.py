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
        least_positives: the classification loss of a batch with fewer positive anchors is divided
            by this many, and that of occupancy with fewer occupied cells: one object, or none, is
            else worth as much as all of a full street, and each of its negatives a hundred times as
            much.
        classes: factor on a class's positives in the classification, box and direction losses, in
            the classes' order; empty for all alike. A truck has twenty positive anchors, a person
            two.
    """

    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    positive: float = 2.0
    box: float = 2.0
    sigma: float = 3.0
    direction: float = 0.2
    occupancy: tuple[float, float, float] = (0.4, 0.2, 0.1)
    codebook: float = 0.05
    least_positives: int = 1
    classes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for weights out of range."""
        if self.least_positives < 1 or not all(0.0 < weight < 1e3 for weight in self.classes):
            raise ValueError(
                "losses need a least_positives of 1 or more and weights of classes above 0, got"
                f" {self.least_positives} and {self.classes}"
            )


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

    All are divided by the number of positive anchors in the batch, see also `LossWeights`.

    Raises:
        ValueError: for weights of another number of classes.
    """
    classes = outputs.cls.shape[1] // (outputs.dir.shape[1] // 2)
    logits = anchor_rows(outputs.cls, classes)
    labels = target.labels.reshape(-1)
    wanted = functional.one_hot(labels.clamp_min(0), classes + 1)[:, 1:].to(logits.dtype)
    loss = focal(logits, wanted, weights.focal_alpha, weights.focal_gamma)
    by_class = _class_weights(weights, classes, logits)
    factor = torch.where(labels > 0, weights.positive * by_class[labels.clamp_min(0)], 1.0)
    factor = factor * (labels >= 0)
    count = max(1, len(target.positives))
    classification = (loss * factor[:, None]).sum() / max(count, weights.least_positives)
    of_positive = by_class[labels[target.positives]]
    deltas = anchor_rows(outputs.reg, 7)[target.positives]
    difference = deltas - target.deltas
    # the sine makes half a turn no error: the direction bins tell the two apart
    difference = torch.cat([difference[:, :6], torch.sin(difference[:, 6:])], dim=1)
    box = (smooth_l1(difference, weights.sigma) * of_positive[:, None]).sum() / count
    bins = anchor_rows(outputs.dir, 2)[target.positives]
    turns = functional.cross_entropy(bins, target.directions, reduction="none")
    direction = (turns * of_positive).sum() / count
    return {
        "cls": classification,
        "box": weights.box * box,
        "dir": weights.direction * direction,
    }


def _class_weights(weights: LossWeights, classes: int, like: torch.Tensor) -> torch.Tensor:
    """Return the factor of each label's positives, (1 + classes,), background's first."""
    if weights.classes and len(weights.classes) != classes:
        raise ValueError(
            f"losses.classes: got {len(weights.classes)} weights, the network has {classes} classes"
        )
    return like.new_tensor([1.0, *(weights.classes or [1.0] * classes)])


def occupancy_loss(
    logits: Sequence[torch.Tensor], occupied: torch.Tensor, weights: LossWeights
) -> torch.Tensor:
    """Return the focal loss of every level's occupancy, divided by its occupied cells.

    By `least_positives` cells of the finest level at least, and half as many of each coarser one.
    """
    total = occupied.new_zeros(())
    for level, weight in zip(logits, weights.occupancy, strict=True):
        factor = occupied.shape[-1] // level.shape[-1]
        wanted = functional.max_pool2d(occupied, factor) if factor > 1 else occupied
        loss = focal(level.float(), wanted, weights.focal_alpha, weights.focal_gamma)
        least = max(1.0, weights.least_positives / factor)
        total = total + weight * loss.sum() / wanted.sum().clamp_min(least)
    return total
