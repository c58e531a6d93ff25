# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The light architecture: what encoder, pyramid and heads are made of where each operation counts.

Same grid, same 64-channel map for the codebook and same pyramid scales as the published network
(docs/network.md, "The light architecture"). Every convolution has a BatchNorm, which folds away at
export.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.training.head_outputs import HeadOutputs, anchor_heads
from quantv2x_ros.training.pyramid import Pyramid

#: Channels of a pillar; the first convolution, at the pillars' resolution, costs in proportion.
PILLAR_CHANNELS = 32
#: Kinds of residual blocks.
BLOCKS = ("depthwise", "csp", "dense")
#: Kernels of the encoder's blocks.
ENCODER_KERNELS = (3, 3, 3, 3)
#: Channels and kernels of the blocks of a pyramid scale: large kernels where the map is small.
SCALES = ((64, (3, 3)), (128, (5, 5, 5)), (256, (7, 7, 7, 7)))
#: Channels of the heads' map, and kernels of its blocks at 1.6 m and at 0.8 m.
HEAD_CHANNELS, COARSE_KERNELS, FINE_KERNELS = 64, (5, 5), (3, 3)


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, where wanted, ReLU.

    Args:
        channels_in: channels of the input.
        channels: channels of the output.
        kernel: odd; the padding keeps the size.
        stride: 1 or 2.
        groups: groups of channels.
        relu: whether a ReLU follows.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.relu = relu

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H/stride, W/stride); a residual comes before the ReLU."""
        out: torch.Tensor = self.norm(self.conv(x))
        if residual is not None:
            out = out + residual
        return torch.relu(out) if self.relu else out


class DepthwiseBlock(nn.Module):
    """Residual block of a depthwise and a 1x1 convolution."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.spatial = ConvNorm(channels, channels, kernel, groups=channels)
        self.mix = ConvNorm(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: torch.Tensor = self.mix(self.spatial(x), x)
        return out


class CspBlock(nn.Module):
    """Residual block whose dense 3x3 convolution sees half of the channels (CSPNet's split)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(channels, channels // 2)
        self.spatial = ConvNorm(channels // 2, channels // 2, 3)
        self.mix = ConvNorm(channels // 2, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: torch.Tensor = self.mix(self.spatial(self.reduce(x)), x)
        return out


class DenseBlock(nn.Module):
    """A dense 3x3 convolution over an identity, as RepVGG's branches fold into one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = ConvNorm(channels, channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: torch.Tensor = self.spatial(x, x)
        return out


def make_block(kind: str, channels: int, kernel: int) -> nn.Module:
    """Return a residual block of a kind of `BLOCKS`; only depthwise ones have other kernels."""
    if kind == "depthwise":
        return DepthwiseBlock(channels, kernel)
    return CspBlock(channels) if kind == "csp" else DenseBlock(channels)


class Downsample(nn.Module):
    """Halves the resolution: depthwise 3x3 with stride 2, then 1x1 to more channels."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.spatial = ConvNorm(channels_in, channels_in, 3, 2, channels_in)
        self.mix = ConvNorm(channels_in, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H/2, W/2)."""
        out: torch.Tensor = self.mix(self.spatial(x))
        return out


class Upsample(nn.Module):
    """Doubles the resolution: 1x1 to four times the channels, then a pixel shuffle."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.mix = ConvNorm(channels_in, 4 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, 2 H, 2 W)."""
        return functional.pixel_shuffle(self.mix(x), 2)


class LightBackbone(nn.Sequential):
    """Pillar features (N, 32, rows, columns) to the BEV feature (N, 64, rows / 2, columns / 2)."""

    def __init__(self, block: str) -> None:
        blocks = [make_block(block, 64, kernel) for kernel in ENCODER_KERNELS]
        super().__init__(ConvNorm(PILLAR_CHANNELS, 64, 3, 2), *blocks)


class LightPyramid(Pyramid):
    """Single-agent pyramid and fusion; the heads bring its scales together.

    It begins with a 1x1 convolution, into which what raises decoded features folds.
    """

    def __init__(self, score_gain: float, block: str) -> None:
        levels, channels_in = [], 0
        for channels, kernels in SCALES:
            first = Downsample(channels_in, channels) if channels_in else ConvNorm(64, channels)
            levels.append(
                nn.Sequential(first, *(make_block(block, channels, kernel) for kernel in kernels))
            )
            channels_in = channels
        super().__init__(score_gain, levels, [channels for channels, _ in SCALES])


class LightHead(nn.Module):
    """Fused scales to the outputs of the heads: top down, then two narrow towers."""

    def __init__(self, block: str, classes: int, yaws: int) -> None:
        super().__init__()
        width = HEAD_CHANNELS
        fine, middle, coarse = (channels for channels, _ in SCALES)
        self.from_coarse = Upsample(coarse, width)
        self.middle = ConvNorm(middle, width)
        self.middle_blocks = nn.Sequential(*(make_block(block, width, k) for k in COARSE_KERNELS))
        self.from_middle = Upsample(width, width)
        self.fine = ConvNorm(fine, width)
        self.fine_blocks = nn.Sequential(*(make_block(block, width, k) for k in FINE_KERNELS))
        self.cls_tower = make_block(block, width, 3)
        self.box_tower = make_block(block, width, 3)
        self.cls_head, self.reg_head, self.dir_head = anchor_heads(width, classes, yaws)

    def forward(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Map the fused levels (B, C_i, H_i, W_i) to the heads' outputs (B, channels, H, W)."""
        fine, middle, coarse = fused
        middle = self.middle_blocks(self.middle(middle, self.from_coarse(coarse)))
        shared = self.fine_blocks(self.fine(fine, self.from_middle(middle)))
        boxes = self.box_tower(shared)
        return HeadOutputs(
            self.cls_head(self.cls_tower(shared)), self.reg_head(boxes), self.dir_head(boxes)
        )
