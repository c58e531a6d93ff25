# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the network: residual block, bottleneck, pillar feature net."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from quantv2x_ros.core.compiled import njit


def _downsample(channels_in: int, channels: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the shape of its output; None where they are alike."""
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
    )


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions (docs/network.md, "Encoder backbone")."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _downsample(channels_in, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + shortcut)


class NormedConvolution(nn.Conv2d):
    """A 3x3 convolution with bias, and a BatchNorm behind it that folds away at export.

    Its weights keep the names that they have without BatchNorm.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(channels_in, channels, 3, 1, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H, W)."""
        out: torch.Tensor = self.norm(super().forward(x))
        return out


#: Channels a group at and above which CPU kernels are fast.
WIDE_GROUP = 32


def widened_weight(weight: torch.Tensor, groups: int, width: int) -> tuple[torch.Tensor, int]:
    """Merge neighbouring groups of a grouped convolution into block-diagonal ones (exact).

    Args:
        weight: (C, C / groups, kh, kw), as many input as output channels.
        groups: its groups.
        width: channels a merged group, a multiple of C / groups.

    Returns:
        The weight (C, width, kh, kw), zero off the blocks, and its number of groups.
    """
    channels, narrow, height, kernel_width = weight.shape
    merge = width // narrow
    blocks = weight.view(groups // merge, merge, narrow, narrow, height, kernel_width)
    eye = torch.eye(merge, dtype=weight.dtype, device=weight.device)
    wide = torch.einsum("gmoihw,mn->gmonihw", blocks, eye)
    return wide.reshape(channels, width, height, kernel_width), groups // merge


def widened_convolution(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Run a grouped convolution with groups of at least 32 channels: 4 to 8 times faster."""
    narrow = conv.weight.shape[1]
    if narrow >= WIDE_GROUP or not torch.is_grad_enabled():
        result: torch.Tensor = conv(x)
        return result
    weight, groups = widened_weight(conv.weight, conv.groups, WIDE_GROUP)
    return nn.functional.conv2d(x, weight, None, conv.stride, conv.padding, 1, groups)


class Bottleneck(nn.Module):
    """ResNeXt bottleneck, 1x1 - grouped 3x3 - 1x1 (docs/network.md, "Pyramid fusion")."""

    def __init__(
        self, channels_in: int, middle: int, channels: int, stride: int, groups: int = 32
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = _downsample(channels_in, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = torch.relu(self.bn1(self.conv1(x)))
        out = torch.relu(self.bn2(widened_convolution(out, self.conv2)))
        return torch.relu(self.bn3(self.conv3(out)) + shortcut)


@njit(cache=True)
def _segment_max(values, segment, out, argmax):  # type: ignore[no-untyped-def]
    for k in range(values.shape[0]):
        s = segment[k]
        for c in range(values.shape[1]):
            if argmax[s, c] < 0 or values[k, c] > out[s, c]:
                out[s, c] = values[k, c]
                argmax[s, c] = k


@njit(cache=True)
def _segment_max_backward(gradient, argmax, out):  # type: ignore[no-untyped-def]
    for s in range(gradient.shape[0]):
        for c in range(gradient.shape[1]):
            out[argmax[s, c], c] = gradient[s, c]


class SegmentMax(torch.autograd.Function):
    """Maximum over the rows of each segment, on the CPU; every segment has at least one row."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, segment: torch.Tensor, segments: int
    ) -> torch.Tensor:
        """Reduce (K, C) float32 by segment (K,) int to (segments, C)."""
        data = values.detach().contiguous().numpy()
        out = np.empty((segments, data.shape[1]), dtype=np.float32)
        argmax = np.full((segments, data.shape[1]), -1, dtype=np.int32)
        _segment_max(data, segment.numpy(), out, argmax)
        ctx.argmax = argmax
        ctx.rows = data.shape[0]
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Send each gradient to the row that was the maximum."""
        gradient = gradients[0].contiguous().float().numpy()
        out = np.zeros((ctx.rows, gradient.shape[1]), dtype=np.float32)
        _segment_max_backward(gradient, ctx.argmax, out)
        return torch.from_numpy(out), None, None


#: Usual standard deviation of the ten inputs: x, y, z, intensity, offsets from the mean and from
#: the pillar's centre (metres; intensity is 0 in V2X-Real).
INPUT_DEVIATION = (40.0, 20.0, 1.0, 1.0, 0.15, 0.15, 0.3, 0.12, 0.12, 1.0)


class PillarFeatureNet(nn.Module):
    """Linear, BatchNorm, ReLU and maximum over a pillar's 32 slots.

    See docs/network.md, "Pillar features".
    """

    def __init__(self, channels: int = 64, max_points: int = 32) -> None:
        super().__init__()
        self.linear = nn.Linear(10, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels, eps=1e-3, momentum=0.03)
        self.max_points = max_points
        # Metres from the sensor are a hundred times larger than metres within a pillar, which tell
        # the shape: start with all inputs of the same weight.
        with torch.no_grad():
            self.linear.weight /= torch.tensor(INPUT_DEVIATION)

    def _normalised(self, values: torch.Tensor) -> torch.Tensor:
        """Normalise by the batch's statistics; one point has none, and goes by the running ones."""
        if len(values) > 1:
            normed: torch.Tensor = self.norm(values)
            return normed
        norm = self.norm
        return nn.functional.batch_norm(
            values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )

    def forward(
        self, features: torch.Tensor, point_pillar: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Reduce points to pillars.

        Args:
            features: (K, 10) float32 of real points only.
            point_pillar: (K,) int32 pillar of each point.
            counts: (M,) points of each pillar; a pillar that is not full also takes the padding's
                constant relu(BatchNorm(0)).

        Returns:
            (M, C) float32.
        """
        values = torch.relu(self._normalised(self.linear(features)))
        if values.is_cuda:
            index = point_pillar.long()[:, None].expand_as(values)
            empty = values.new_zeros((len(counts), values.shape[1]))
            pillars = empty.scatter_reduce(0, index, values, "amax", include_self=True)
        else:
            pillars = SegmentMax.apply(  # type: ignore[no-untyped-call]
                values, point_pillar, len(counts)
            )
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        scale = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        padding = torch.relu(self.norm.bias - mean * scale)
        not_full = (counts < self.max_points)[:, None]
        return torch.where(not_full, torch.maximum(pillars, padding), pillars)
