# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folds the trained torch network into graphs of plain convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.codebook.folding import fold_stages
from quantv2x_ros.core.codebook.normalisation import GroupNormalisation
from quantv2x_ros.core.pillars.pillar_net import PillarWeights
from quantv2x_ros.training.blocks import BasicBlock, Bottleneck, NormedConvolution
from quantv2x_ros.training.graphs.graph import (
    Concatenation,
    Convolution,
    LayerGraph,
    Node,
    Score,
    TensorSpec,
)
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.published import to_published
from quantv2x_ros.training.revqom import ReVQomCodebook

Float32 = npt.NDArray[np.float32]


def _double(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()


def fold_norm(
    conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d
) -> tuple[Float32, Float32]:
    """Fold a BatchNorm's running statistics into the convolution before it, in float64.

    Returns:
        Weight in the convolution's own layout and bias (O,), float32.
    """
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = _double(norm.weight) / np.sqrt(_double(norm.running_var) + norm.eps)
    out_axis = 1 if isinstance(conv, nn.ConvTranspose2d) else 0
    shape = [1, 1, 1, 1]
    shape[out_axis] = -1
    weight = _double(conv.weight) * scale.reshape(shape)
    bias = 0.0 if conv.bias is None else _double(conv.bias)
    folded = _double(norm.bias) + (bias - _double(norm.running_mean)) * scale
    return weight.astype(np.float32), folded.astype(np.float32)


def _plain(conv: nn.Conv2d) -> tuple[Float32, Float32]:
    if isinstance(conv, NormedConvolution):
        return fold_norm(conv, conv.norm)
    assert conv.bias is not None
    return _double(conv.weight).astype(np.float32), _double(conv.bias).astype(np.float32)


def _shortcut(block: BasicBlock | Bottleneck, name: str, source: str) -> tuple[list[Node], str]:
    """The projection on the shortcut, if there is one, and the name of the tensor to add."""
    if block.downsample is None:
        return [], source
    conv, norm = block.downsample
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    weight, bias = fold_norm(conv, norm)
    target = f"{name}.shortcut"
    stride = int(conv.stride[0])
    return [Convolution(target, source, target, weight, bias, stride, relu=False)], target


def _basic_block(block: BasicBlock, name: str, source: str) -> list[Node]:
    nodes, shortcut = _shortcut(block, name, source)
    stride = int(block.conv1.stride[0])
    inner = f"{name}.conv1"
    return [
        *nodes,
        Convolution(inner, source, inner, *fold_norm(block.conv1, block.bn1), stride),
        Convolution(
            f"{name}.conv2", inner, name, *fold_norm(block.conv2, block.bn2), residual=shortcut
        ),
    ]


def _bottleneck(block: Bottleneck, name: str, source: str) -> list[Node]:
    nodes, shortcut = _shortcut(block, name, source)
    first, second = f"{name}.conv1", f"{name}.conv2"
    stride, groups = int(block.conv2.stride[0]), block.conv2.groups
    return [
        *nodes,
        Convolution(first, source, first, *fold_norm(block.conv1, block.bn1)),
        Convolution(second, first, second, *fold_norm(block.conv2, block.bn2), stride, groups),
        Convolution(
            f"{name}.conv3", second, name, *fold_norm(block.conv3, block.bn3), residual=shortcut
        ),
    ]


def encoder_graph(network: QuantV2XNetwork) -> LayerGraph:
    """Scattered pillar features ``pillars`` to the BEV feature ``feature``."""
    nodes: list[Node] = []
    source = "pillars"
    last = len(network.backbone) - 1
    for index, block in enumerate(network.backbone):
        assert isinstance(block, BasicBlock)
        target = "feature" if index == last else f"block{index}"
        nodes += _basic_block(block, target, source)
        source = target
    channels = nodes[-1].weight.shape[0]  # type: ignore[union-attr]
    return LayerGraph(
        "encoder", (TensorSpec("pillars", 64),), tuple(nodes), (TensorSpec("feature", channels, 2),)
    )


def pyramid_graph(network: QuantV2XNetwork, offset: Float32 | float = 0.0) -> LayerGraph:
    """Decoded feature ``decoded`` to ``level0..2`` and ``score0..2``, one agent.

    Args:
        network: the network.
        offset: what the input is raised by, (64,) or a number. A decoded feature has both signs;
            raised, it fits unsigned numbers without zero point, and what the offset does to the
            first block's two affine readers (its 1x1 convolution and its sum) is folded into them.
    """
    nodes: list[Node] = []
    outputs: list[TensorSpec] = []
    source = "decoded"
    for index, level in enumerate(network.pyramid.levels):
        assert isinstance(level, nn.Sequential)
        for number, block in enumerate(level):
            assert isinstance(block, Bottleneck)
            target = f"level{index}" if number == len(level) - 1 else f"level{index}.block{number}"
            nodes += _bottleneck(block, target, source)
            source = target
        head = network.pyramid.occupancy_heads[index]
        assert isinstance(head, nn.Conv2d)
        logit = f"occupancy{index}"
        nodes.append(Convolution(logit, source, logit, *_plain(head), relu=False, rounded=False))
        nodes.append(Score(f"score{index}", logit, f"score{index}", network.pyramid.score_gain))
        outputs.append(TensorSpec(source, head.in_channels, 2**index))
    outputs += [TensorSpec(f"score{i}", 1, 2**i) for i in range(len(network.pyramid.levels))]
    channels = int(network.pyramid.levels[0][0].conv1.in_channels)  # type: ignore[index,union-attr,arg-type]
    graph = LayerGraph("pyramid", (TensorSpec("decoded", channels),), tuple(nodes), tuple(outputs))
    return _without_offset(graph, np.broadcast_to(np.float64(offset), (channels,)))


def _without_offset(graph: LayerGraph, offset: npt.NDArray[np.float64]) -> LayerGraph:
    """Subtract an offset of the graph's input in the biases of the convolutions that read it."""
    name = graph.inputs[0].name
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Convolution):
            bias = node.bias.astype(np.float64)
            if node.source == name:
                if node.padding or node.groups > 1:
                    raise ValueError(f"{node.name}: an offset folds into plain 1x1 only")
                bias = bias - node.weight[:, :, 0, 0].astype(np.float64) @ offset
            if node.residual == name:
                bias = bias - offset
            node = replace(node, bias=bias.astype(np.float32))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _deblock(block: nn.Sequential, index: int) -> Convolution:
    """A transposed convolution with kernel = stride, as 1x1 convolution and pixel shuffle."""
    conv, norm = block[0], block[1]
    assert isinstance(conv, nn.ConvTranspose2d)
    assert isinstance(norm, nn.BatchNorm2d)
    weight, bias = fold_norm(conv, norm)  # weight (I, O, u, u)
    upscale = int(conv.stride[0])
    channels_in, channels = weight.shape[:2]
    rows = weight.transpose(2, 3, 1, 0).reshape(upscale**2 * channels, channels_in, 1, 1)
    return Convolution(
        f"deblock{index}",
        f"fused{index}",
        f"upsampled{index}",
        np.ascontiguousarray(rows),
        np.tile(bias, upscale**2),
        upscale=upscale,
    )


def head_graph(network: QuantV2XNetwork) -> LayerGraph:
    """Fused levels ``fused0..2`` to ``cls``, ``reg`` and ``dir``."""
    deblocks = []
    for index, block in enumerate(network.pyramid.deblocks):
        assert isinstance(block, nn.Sequential)
        deblocks.append(_deblock(block, index))
    first, second = network.shrink[0], network.shrink[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    nodes: list[Node] = [
        *deblocks,
        Concatenation("merged", tuple(block.target for block in deblocks), "merged"),
        Convolution("shrink0", "merged", "shrink0", *_plain(first)),
        Convolution("shrink1", "shrink0", "shrink1", *_plain(second)),
    ]
    outputs = []
    heads: Mapping[str, nn.Conv2d] = {
        "cls": network.cls_head,
        "reg": network.reg_head,
        "dir": network.dir_head,
    }
    for name, head in heads.items():
        nodes.append(Convolution(name, "shrink1", name, *_plain(head), relu=False, rounded=False))
        outputs.append(TensorSpec(name, head.out_channels))
    inputs = tuple(
        TensorSpec(block.source, int(block.weight.shape[1]), 2**index)
        for index, block in enumerate(deblocks)
    )
    return LayerGraph("head", inputs, tuple(nodes), tuple(outputs))


def fold_codebook(network: QuantV2XNetwork) -> ResidualCodebook:
    """The network's codebook as tables.

    Raises:
        ValueError: for a network without codebook.
    """
    if network.codebook is None:
        raise ValueError("the network has no codebook: nothing could be transmitted")
    if isinstance(network.codebook, ReVQomCodebook):
        return fold_revqom(network.codebook)
    return ResidualCodebook.from_layers(to_published(network.state_dict()), "codebook.")


def fold_revqom(codebook: ReVQomCodebook) -> ResidualCodebook:
    """ReVQom's stages as tables, behind its bottleneck."""

    def array(value: torch.Tensor) -> npt.NDArray[np.float32]:
        return np.ascontiguousarray(value.detach().cpu().numpy(), np.float32)

    bottleneck = GroupNormalisation(
        array(codebook.reduce.weight.T),
        array(codebook.reduce.bias),
        array(codebook.norm.weight),
        array(codebook.norm.bias),
        codebook.norm.num_groups,
        codebook.norm.eps,
    )
    words = [array(stage.codewords) for stage in codebook.ordered_stages()]
    folded = fold_stages(words, array(codebook.restore.weight), array(codebook.restore.bias))
    return ResidualCodebook(**folded, bottleneck=bottleneck)


def fold_pillars(network: QuantV2XNetwork) -> PillarWeights:
    """The network's pillar layer with its BatchNorm folded in."""
    state = {k: v.detach().cpu().numpy() for k, v in network.pillar_encoder.state_dict().items()}
    return PillarWeights.from_layers(state, "", network.pillar_encoder.norm.eps)
