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

from quantv2x_ros.inference.shapes import SCALE_CHANNELS
from quantv2x_ros.training.head_outputs import HeadOutputs, anchor_heads
from quantv2x_ros.training.pyramid import Pyramid

#: Channels of a pillar; the first convolution costs in proportion.
PILLAR_CHANNELS = 32
#: Kinds of residual blocks.
BLOCKS = ("csp", "depthwise", "dense")
#: Kernels of the convolutions in the encoder's block.
ENCODER_KERNELS = (3, 3, 3)
#: Kernels of the block of a pyramid scale; depthwise blocks alone have large ones.
SCALE_KERNELS = ((3,), (5, 5, 5), (7, 7, 7, 7))
#: Channels and kernels of the pyramid's scales.
SCALES = tuple(zip(SCALE_CHANNELS["light"], SCALE_KERNELS, strict=True))
#: Channels of the heads' map, kernels of its blocks at 1.6 m and at 0.8 m, channels of a tower.
HEAD_CHANNELS, COARSE_KERNELS, FINE_KERNELS, TOWER_CHANNELS = 64, (5, 5), (3,), 32


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, where wanted, ReLU.

    Args:
        channels_in: channels of the input.
        channels: channels of the output.
        kernel: odd, whose padding keeps the size, or as large as the stride.
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
            channels_in, channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.relu = relu

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H/stride, W/stride); a residual comes before the ReLU."""
        out: torch.Tensor = self.norm(self.conv(x))
        if residual is not None:
            out = out + residual
        return torch.relu(out) if self.relu else out


class Block(nn.Module):
    """Residual block: convolutions one after another, the sum with the input before the last ReLU.

    Args:
        kind: of `BLOCKS`. depthwise has a depthwise and a 1x1 convolution for each kernel; csp has
            a 1x1 convolution to half of the channels, a dense 3x3 one for each kernel, and a 1x1
            one back (after CSPNet's split); dense has a dense 3x3 one for each kernel.
        channels: of its input and its output.
        kernels: odd.
    """

    def __init__(self, kind: str, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_layers(kind, channels, kernels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        *layers, last = self.layers
        inner = x
        for layer in layers:
            inner = layer(inner)
        out: torch.Tensor = last(inner, x)
        return out


def _layers(kind: str, channels: int, kernels: Sequence[int]) -> list[ConvNorm]:
    if kind == "depthwise":
        return [
            layer
            for kernel in kernels
            for layer in (
                ConvNorm(channels, channels, kernel, groups=channels),
                ConvNorm(channels, channels),
            )
        ]
    if kind == "dense":
        return [ConvNorm(channels, channels, 3) for _ in kernels]
    half = channels // 2
    inner = [ConvNorm(half, half, 3) for _ in kernels]
    return [ConvNorm(channels, half), *inner, ConvNorm(half, channels)]


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
        super().__init__(ConvNorm(PILLAR_CHANNELS, 64, 2, 2), Block(block, 64, ENCODER_KERNELS))


class LightPyramid(Pyramid):
    """Single-agent pyramid and fusion; the heads bring its scales together.

    It begins with a 1x1 convolution, into which what raises decoded features folds.
    """

    def __init__(self, score_gain: float, block: str) -> None:
        levels, channels_in = [], 0
        for channels, kernels in SCALES:
            first = Downsample(channels_in, channels) if channels_in else ConvNorm(64, channels)
            levels.append(nn.Sequential(first, Block(block, channels, kernels)))
            channels_in = channels
        super().__init__(score_gain, levels, [channels for channels, _ in SCALES])


class Tower(nn.Sequential):
    """The last layers before outputs: a 1x1 convolution to few channels, then a depthwise one."""

    def __init__(self, channels_in: int, channels: int) -> None:
        spatial = ConvNorm(channels, channels, 3, groups=channels)
        super().__init__(ConvNorm(channels_in, channels), spatial)


class LightHead(nn.Module):
    """Fused scales to the outputs of the heads: top down, then two narrow towers."""

    def __init__(self, block: str, classes: int, yaws: int) -> None:
        super().__init__()
        width = HEAD_CHANNELS
        fine, middle, coarse = (channels for channels, _ in SCALES)
        self.from_coarse = Upsample(coarse, width)
        self.middle = ConvNorm(middle, width)
        self.middle_block = Block(block, width, COARSE_KERNELS)
        self.from_middle = Upsample(width, width)
        self.fine = ConvNorm(fine, width)
        self.fine_block = Block(block, width, FINE_KERNELS)
        self.cls_tower = Tower(width, TOWER_CHANNELS)
        self.box_tower = Tower(width, TOWER_CHANNELS)
        self.cls_head, self.reg_head, self.dir_head = anchor_heads(TOWER_CHANNELS, classes, yaws)

    def forward(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Map the fused levels (B, C_i, H_i, W_i) to the heads' outputs (B, channels, H, W)."""
        fine, middle, coarse = fused
        middle = self.middle_block(self.middle(middle, self.from_coarse(coarse)))
        shared = self.fine_block(self.fine(fine, self.from_middle(middle)))
        boxes = self.box_tower(shared)
        return HeadOutputs(
            self.cls_head(self.cls_tower(shared)), self.reg_head(boxes), self.dir_head(boxes)
        )
