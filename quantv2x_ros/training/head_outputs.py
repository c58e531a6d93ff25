# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The last convolutions of either architecture, and what they give.

See docs/network.md, "Shrink and heads".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

#: Probability of an object from which training starts: positives are rare.
START_PROBABILITY_LOGIT = -4.6


class HeadOutputs(NamedTuple):
    """Raw outputs of the heads, (1 or B, channels, H, W) each."""

    cls: torch.Tensor
    reg: torch.Tensor
    dir: torch.Tensor


def anchor_heads(channels: int, classes: int, yaws: int) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
    """Return untrained 1x1 convolutions to class logits, box residuals and direction logits.

    Args:
        channels: channels that they read.
        classes: number of classes.
        yaws: anchor headings; a cell has classes x yaws anchors.
    """
    anchors = classes * yaws
    cls = nn.Conv2d(channels, anchors * classes, 1)
    reg = nn.Conv2d(channels, anchors * 7, 1)
    direction = nn.Conv2d(channels, anchors * 2, 1)
    nn.init.constant_(cls.bias, START_PROBABILITY_LOGIT)  # type: ignore[arg-type]
    nn.init.normal_(cls.weight, std=0.01)
    nn.init.normal_(reg.weight, std=0.01)
    return cls, reg, direction
