# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folds the light architecture's blocks into plain convolutions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import nn

from quantv2x_ros.training.graphs.convolutions import fold_norm, plain
from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph, Node, TensorSpec
from quantv2x_ros.training.light import (
    Block,
    ConvNorm,
    Downsample,
    LightHead,
    Tower,
    Upsample,
)

#: What the three levels of a pyramid are called, from fine to coarse, in the heads' graph.
FINE, MIDDLE, COARSE = "fused0", "fused1", "fused2"


def fold_unit(unit: ConvNorm, source: str, target: str, residual: str | None = None) -> Convolution:
    """Fold a convolution with its BatchNorm; it is named after its target."""
    weight, bias = fold_norm(unit.conv, unit.norm)
    stride, groups = int(unit.conv.stride[0]), unit.conv.groups
    return Convolution(target, source, target, weight, bias, stride, groups, unit.relu, residual)


def fold_block(block: nn.Module, source: str, target: str) -> list[Node]:
    """Fold a block of `training.light` that reads one tensor and makes one.

    Raises:
        TypeError: for another module.
    """
    if isinstance(block, ConvNorm):
        return [fold_unit(block, source, target)]
    if isinstance(block, Block):
        return _fold_layers(block.layers, source, target, source)
    if isinstance(block, Tower):
        return _fold_layers(block, source, target)
    if isinstance(block, Downsample):
        return _fold_layers((block.spatial, block.mix), source, target)
    if isinstance(block, Upsample):
        return [_upsample(block, source, target)]
    raise TypeError(f"{type(block).__name__} is no block of the light architecture")


def _fold_layers(
    layers: Iterable[nn.Module], source: str, target: str, residual: str | None = None
) -> list[Node]:
    """Fold convolutions one after another; the residual comes to the last."""
    nodes: list[Node] = []
    *units, last = layers
    for number, unit in enumerate(units):
        assert isinstance(unit, ConvNorm)
        inner = f"{target}.layer{number}"
        nodes.append(fold_unit(unit, source, inner))
        source = inner
    assert isinstance(last, ConvNorm)
    return [*nodes, fold_unit(last, source, target, residual)]


def _upsample(block: Upsample, source: str, target: str) -> Convolution:
    """Fold a 1x1 convolution before a pixel shuffle, whose channels torch orders otherwise."""
    weight, bias = fold_norm(block.mix.conv, block.mix.norm)
    # torch: channel c * 4 + position; here: position * C + c
    order = np.arange(len(bias)).reshape(-1, 4).T.reshape(-1)
    return Convolution(
        target, source, target, np.ascontiguousarray(weight[order]), bias[order], upscale=2
    )


def fold_chain(blocks: nn.Sequential, source: str, target: str) -> list[Node]:
    """Fold blocks one after another; those within are called ``<target>.block<number>``."""
    nodes: list[Node] = []
    last = len(blocks) - 1
    for number, block in enumerate(blocks):
        made = target if number == last else f"{target}.block{number}"
        nodes += fold_block(block, source, made)
        source = made
    return nodes


def light_head_graph(head: LightHead) -> LayerGraph:
    """Fused levels ``fused0..2`` to ``cls``, ``reg`` and ``dir``; see `LightHead`."""
    nodes: list[Node] = [
        *fold_block(head.from_coarse, COARSE, "from_coarse"),
        fold_unit(head.middle, MIDDLE, "middle.in", "from_coarse"),
        *fold_block(head.middle_block, "middle.in", "middle"),
        *fold_block(head.from_middle, "middle", "from_middle"),
        fold_unit(head.fine, FINE, "fine.in", "from_middle"),
        *fold_block(head.fine_block, "fine.in", "fine"),
        *fold_block(head.cls_tower, "fine", "cls_tower"),
        *fold_block(head.box_tower, "fine", "box_tower"),
    ]
    outputs = []
    for name, source, layer in (
        ("cls", "cls_tower", head.cls_head),
        ("reg", "box_tower", head.reg_head),
        ("dir", "box_tower", head.dir_head),
    ):
        nodes.append(Convolution(name, source, name, *plain(layer), relu=False, rounded=False))
        outputs.append(TensorSpec(name, layer.out_channels))
    inputs = (
        TensorSpec(FINE, head.fine.conv.in_channels),
        TensorSpec(MIDDLE, head.middle.conv.in_channels, 2),
        TensorSpec(COARSE, head.from_coarse.mix.conv.in_channels, 4),
    )
    return LayerGraph("head", inputs, tuple(nodes), tuple(outputs))
