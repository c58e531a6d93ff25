# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs graphs in torch: in full precision, or with the engines' INT8 arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional

from quantv2x_ros.training.graphs.graph import (
    SCORE_FLOOR,
    Concatenation,
    Convolution,
    LayerGraph,
    Score,
    widen_weight,
)
from quantv2x_ros.training.graphs.scales import QuantizedWeight, TensorScale, TensorScales

Tensors = Mapping[str, torch.Tensor]
Observer = Callable[[str, torch.Tensor], None]


def round_to_scale(value: torch.Tensor, scale: TensorScale) -> torch.Tensor:
    """Round real values to the scale's grid (half to even, saturating); stays a real value."""
    low, high = scale.limits
    return torch.clamp(torch.round(value / scale.scale), low, high) * scale.scale


@dataclass(frozen=True)
class GraphExecutor:
    """A graph in torch.

    Attributes:
        graph: what to run.
        scales: scales of the quantized tensors; empty for full precision.
        weights: quantized weights by convolution; empty for full precision.
        dtype: arithmetic; float64 sums integers exactly, as INT8 engines do.
        bfloat16: convolutions in bfloat16: several times faster where the processor has it, and
            exact enough to see the distribution of activations.
    """

    graph: LayerGraph
    scales: TensorScales = field(default_factory=dict)
    weights: Mapping[str, QuantizedWeight] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    bfloat16: bool = False

    @torch.no_grad()
    def __call__(
        self, inputs: Tensors, observe: Observer | None = None, before: Observer | None = None
    ) -> dict[str, torch.Tensor]:
        """Run on NCHW real values; quantized inputs are rounded to their grid first.

        Args:
            inputs: every input of the graph by name, (N, C, H, W).
            observe: called with every tensor's name and value, inputs included.
            before: called with what goes into each ReLU, (N, C, H, W) before a pixel shuffle, and
                the name of the tensor that it becomes.

        Returns:
            All tensors of the graph by name, NCHW.
        """
        values: dict[str, torch.Tensor] = {}

        def keep(name: str, value: torch.Tensor) -> None:
            if name in self.scales:
                value = round_to_scale(value, self.scales[name])
            values[name] = value
            if observe is not None:
                observe(name, value)

        for spec in self.graph.inputs:
            keep(spec.name, inputs[spec.name].to(self.dtype))
        for node in self.graph.nodes:
            if isinstance(node, Convolution):
                keep(node.target, self._convolve(node, values, before))
            elif isinstance(node, Concatenation):
                keep(node.target, torch.cat([values[name] for name in node.sources], dim=1))
            else:
                keep(node.target, score_of(node, values[node.source]))
        return values

    def _convolve(
        self, node: Convolution, values: Tensors, before: Observer | None
    ) -> torch.Tensor:
        quantized = self.weights.get(node.name)
        weight = node.weight if quantized is None else quantized.dequantized()
        weight = widen_weight(weight, node.groups, node.wide_groups)  # several times faster
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            out = functional.conv2d(
                values[node.source],
                torch.from_numpy(weight).to(self.dtype),
                torch.from_numpy(node.bias).to(self.dtype),
                node.stride,
                node.padding,
                groups=node.wide_groups,
            ).to(self.dtype)
        if node.residual is not None:
            out = out + values[node.residual]
        if node.relu:
            if before is not None:
                before(node.target, out)
            out = torch.relu(out)
        return out if node.upscale == 1 else depth_to_space(out, node.upscale)


def depth_to_space(value: torch.Tensor, upscale: int) -> torch.Tensor:
    """Pixel shuffle with the block position outside of the channel (ONNX mode DCR)."""
    count, depth, height, width = value.shape
    channels = depth // upscale**2
    blocks = value.view(count, upscale, upscale, channels, height, width)
    turned = blocks.permute(0, 3, 4, 1, 5, 2)
    return turned.reshape(count, channels, height * upscale, width * upscale)


def score_of(node: Score, logit: torch.Tensor) -> torch.Tensor:
    """Fusion score of an occupancy logit, of the same shape."""
    return node.gain * (torch.sigmoid(logit) + SCORE_FLOOR)
