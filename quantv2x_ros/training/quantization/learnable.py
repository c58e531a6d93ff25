# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rounding that can be learned: of weights (up or down) and of activations (their step)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.training.blocks import WIDE_GROUP, widened_weight
from quantv2x_ros.training.graphs.executor import depth_to_space, score_of
from quantv2x_ros.training.graphs.graph import Concatenation, Convolution, Node, Score
from quantv2x_ros.training.graphs.scales import (
    QuantizedWeight,
    TensorScale,
    TensorScales,
    weight_limit,
)

#: Stretch of the sigmoid, so that it reaches 0 and 1 (arXiv 2004.10568, equation 23).
STRETCH = (-0.1, 1.1)


class Straight(torch.autograd.Function):
    """Rounds to the nearest integer; the gradient passes as if it did not."""

    @staticmethod
    def forward(ctx: object, value: torch.Tensor) -> torch.Tensor:
        """Round half to even."""
        return torch.round(value)

    @staticmethod
    def backward(ctx: object, *gradients: torch.Tensor) -> torch.Tensor:
        """Pass the gradient."""
        return gradients[0]


def straight_round(value: torch.Tensor) -> torch.Tensor:
    """Round with a straight-through gradient."""
    rounded: torch.Tensor = Straight.apply(value)  # type: ignore[no-untyped-call]
    return rounded


class AdaptiveRounding(nn.Module):
    """Learns for every weight whether to round up or down (AdaRound, arXiv 2004.10568).

    Args:
        weight: (O, I / groups, k, k) float32.
        start: its rounding to the nearest, whose scales and bits are kept.
    """

    def __init__(self, weight: torch.Tensor, start: QuantizedWeight) -> None:
        super().__init__()
        self.bits = start.bits
        self.limit = weight_limit(start.bits)
        self.scales = torch.from_numpy(start.scales)[:, None, None, None]
        steps = weight / self.scales
        self.floor = torch.floor(steps)
        low, high = STRETCH
        # where the stretched sigmoid is the fraction, the soft weight is the real one
        share = ((steps - self.floor) - low) / (high - low)
        self.logits = nn.Parameter(torch.log(share / (1 - share)))

    def upward(self) -> torch.Tensor:
        """Degree of rounding up, 0 to 1."""
        low, high = STRETCH
        return torch.clamp(torch.sigmoid(self.logits) * (high - low) + low, 0, 1)

    def forward(self) -> torch.Tensor:
        """Return the weight, soft while it is learned."""
        return torch.clamp(self.floor + self.upward(), -self.limit, self.limit) * self.scales

    def indecision(self, exponent: float) -> torch.Tensor:
        """Return 0 where all decisions are made, 1 where none is; sharper for a low exponent."""
        return (1 - (2 * self.upward() - 1).abs() ** exponent).mean()

    @torch.no_grad()
    def decided(self) -> QuantizedWeight:
        """Return the weight with every decision made."""
        values = torch.clamp(self.floor + (self.upward() >= 0.5), -self.limit, self.limit)
        return QuantizedWeight(
            values.to(torch.int8).numpy(), self.scales[:, 0, 0, 0].numpy(), self.bits
        )


class LearnedWeight(nn.Module):
    """A weight trained through its rounding to the nearest (straight-through gradient).

    Args:
        weight: (O, I / groups, k, k) float32.
        start: its rounding, whose scales and bits are kept.
    """

    def __init__(self, weight: torch.Tensor, start: QuantizedWeight) -> None:
        super().__init__()
        self.bits = start.bits
        self.limit = weight_limit(start.bits)
        self.scales = torch.from_numpy(start.scales)[:, None, None, None]
        self.weight = nn.Parameter(weight.clone())

    def _steps(self) -> torch.Tensor:
        return torch.clamp(straight_round(self.weight / self.scales), -self.limit, self.limit)

    def forward(self) -> torch.Tensor:
        """Return the rounded weight."""
        return self._steps() * self.scales

    @torch.no_grad()
    def decided(self) -> QuantizedWeight:
        """Return the integers."""
        return QuantizedWeight(
            self._steps().to(torch.int8).numpy(), self.scales[:, 0, 0, 0].numpy(), self.bits
        )


class LearnedStep(nn.Module):
    """Rounds activations by a step that is learned (LSQ, arXiv 1902.08153).

    What is learned is the logarithm of its ratio to where it starts.

    Args:
        scale: where it starts.
    """

    def __init__(self, scale: TensorScale) -> None:
        super().__init__()
        self.start = scale
        self.log_ratio = nn.Parameter(torch.zeros(()))

    def forward(self, value: torch.Tensor, drop: float = 0.0) -> torch.Tensor:
        """Round; with probability ``drop`` an element stays as it is (QDrop, arXiv 2203.05740)."""
        low, high = self.start.limits
        step = self.start.scale * self.log_ratio.exp()
        rounded = torch.clamp(straight_round(value / step), low, high) * step
        if drop == 0.0:
            return rounded
        return torch.where(torch.rand_like(value) < drop, value, rounded)

    def decided(self) -> TensorScale:
        """Return the scale as it is now."""
        return replace(self.start, scale=self.start.scale * float(self.log_ratio.detach().exp()))


class LearnableNodes(nn.Module):
    """Nodes of a graph whose rounding is learned.

    Args:
        nodes: in order.
        scales: scales of their targets; others stay real.
        weights: rounded weights by convolution; others stay FP32.
        kind: AdaptiveRounding, or LearnedWeight, which learns the biases as well.
        bfloat16: convolutions in bfloat16.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        scales: TensorScales,
        weights: Mapping[str, QuantizedWeight],
        kind: type[AdaptiveRounding] | type[LearnedWeight],
        bfloat16: bool,
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.autocast = bfloat16
        self.weights: dict[str, AdaptiveRounding | LearnedWeight] = {}
        self.biases: dict[str, nn.Parameter] = {}
        self.steps: dict[str, LearnedStep] = {}
        for node in nodes:
            if isinstance(node, Convolution):
                bias = torch.from_numpy(node.bias).clone()
                self.biases[node.name] = nn.Parameter(bias, requires_grad=kind is LearnedWeight)
                if node.name in weights:
                    weight = torch.from_numpy(node.weight)
                    self.weights[node.name] = kind(weight, weights[node.name])
        for node in reversed(nodes):
            if node.target in scales and node.target not in self.steps:
                self.steps[node.target] = LearnedStep(scales[node.target])
            if isinstance(node, Concatenation) and node.target in self.steps:
                # joining is copying: the joined share a step
                self.steps.update(dict.fromkeys(node.sources, self.steps[node.target]))
        self._roundings = nn.ModuleList(self.weights.values())
        self._biases = nn.ParameterList(self.biases.values())
        self._steps = nn.ModuleList(dict.fromkeys(self.steps.values()))

    def forward(
        self, inputs: Mapping[str, torch.Tensor], drop: float = 0.0
    ) -> dict[str, torch.Tensor]:
        """Run on NCHW real values; returns all tensors by name."""
        values = dict(inputs)
        for node in self.nodes:
            if isinstance(node, Convolution):
                out = self._convolve(node, values)
                step = self.steps.get(node.target)
                values[node.target] = out if step is None else step(out, drop)
            elif isinstance(node, Score):
                values[node.target] = score_of(node, values[node.source])
            else:
                values[node.target] = torch.cat([values[name] for name in node.sources], dim=1)
        return values

    def _convolve(self, node: Convolution, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        rounding = self.weights.get(node.name)
        weight = torch.from_numpy(node.weight) if rounding is None else rounding()
        groups = node.groups
        if groups > 1 and 1 < weight.shape[1] < WIDE_GROUP:
            weight, groups = widened_weight(weight, groups, WIDE_GROUP)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            out = functional.conv2d(
                values[node.source], weight, None, node.stride, node.padding, 1, groups
            )
        out = out.float() + self.biases[node.name][:, None, None]
        if node.residual is not None:
            out = out + values[node.residual]
        if node.relu:
            out = torch.relu(out)
        return out if node.upscale == 1 else depth_to_space(out, node.upscale)

    def decided_weights(self) -> dict[str, QuantizedWeight]:
        """Integers of every rounded weight, by convolution."""
        return {name: rounding.decided() for name, rounding in self.weights.items()}

    def decided_scales(self) -> dict[str, TensorScale]:
        """Scale of every rounded target."""
        return {name: step.decided() for name, step in self.steps.items()}

    def decided_nodes(self) -> tuple[Node, ...]:
        """The nodes with their biases as they are now."""
        return tuple(
            replace(node, bias=self.biases[node.name].detach().numpy().copy())
            if isinstance(node, Convolution)
            else node
            for node in self.nodes
        )
