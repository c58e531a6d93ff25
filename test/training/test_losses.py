# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses count rare classes and empty streets as their weights say."""

from __future__ import annotations

import pytest
import torch

from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.losses import (
    LossWeights,
    TargetBatch,
    detection_losses,
    occupancy_loss,
)

#: Anchors of two cells: two of each class a cell, of which one car and one pedestrian are there.
LABELS = torch.tensor([[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, -1]])


def outputs() -> HeadOutputs:
    generator = torch.Generator().manual_seed(0)
    return HeadOutputs(
        *(torch.randn((1, size, 1, 2), generator=generator) for size in (18, 42, 12))
    )


def targets(labels: torch.Tensor) -> TargetBatch:
    positives = torch.nonzero(labels.reshape(-1) > 0)[:, 0]
    count = len(positives)
    empty = torch.zeros((0, 7))
    return TargetBatch(
        labels,
        positives,
        torch.ones((count, 7)),
        torch.ones(count, dtype=torch.int64),
        torch.zeros((1, 1, 1, 2)),
        empty,
        torch.zeros(0, dtype=torch.int64),
        (0,),
    )


def losses(labels: torch.Tensor, **weights) -> dict[str, torch.Tensor]:
    return detection_losses(outputs(), targets(labels), LossWeights(**weights))


def test_an_empty_street_weighs_as_its_negatives_do_in_a_full_one():
    empty = torch.zeros_like(LABELS)
    plain = losses(empty)["cls"]
    assert float(losses(empty, least_positives=8)["cls"]) == pytest.approx(float(plain) / 8)
    assert losses(LABELS, least_positives=2)["cls"] == losses(LABELS)["cls"], "it has as many"


def test_occupancy_where_nothing_is_weighs_as_little_as_so_many_cells_say():
    logits = [torch.zeros(1, 1, 16 >> level, 16 >> level) for level in range(3)]
    nothing = torch.zeros(1, 1, 16, 16)
    plain = occupancy_loss(logits, nothing, LossWeights(occupancy=(1.0, 0.0, 0.0)))
    few = occupancy_loss(logits, nothing, LossWeights(occupancy=(1.0, 0.0, 0.0), least_positives=8))
    assert float(few) == pytest.approx(float(plain) / 8)
    coarse = LossWeights(occupancy=(0.0, 1.0, 0.0), least_positives=8)
    plain = occupancy_loss(logits, nothing, LossWeights(occupancy=(0.0, 1.0, 0.0)))
    assert float(occupancy_loss(logits, nothing, coarse)) == pytest.approx(float(plain) / 4)
    full = torch.ones(1, 1, 16, 16)
    weights = LossWeights(least_positives=8)
    assert occupancy_loss(logits, full, weights) == occupancy_loss(logits, full, LossWeights())


def test_a_rare_class_weighs_more_where_it_is_and_nowhere_else():
    plain = losses(LABELS)
    doubled = losses(LABELS, classes=(1.0, 2.0, 1.0))
    cars = losses(torch.where(LABELS == 2, -1, LABELS))
    for name in ("box", "dir"):  # means over the positives: of two, and of the car alone
        person = 2 * plain[name] - cars[name]
        torch.testing.assert_close(doubled[name], plain[name] + person / 2)
    assert doubled["cls"] > plain["cls"]
    nobody = torch.where(LABELS > 0, 0, LABELS)
    assert losses(nobody, classes=(1.0, 2.0, 1.0))["cls"] == losses(nobody)["cls"]


def test_weights_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="got 2 weights, the network has 3 classes"):
        losses(LABELS, classes=(1.0, 2.0))
    with pytest.raises(ValueError, match="least_positives of 1 or more"):
        LossWeights(least_positives=0)
