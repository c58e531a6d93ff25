# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Leaves channels out of a graph that are always 0, or that nothing reads: the same function.

What a node gives and what it reads must keep fitting: a sum needs both of its tensors alike, a
convolution in groups needs groups of one size, inputs and outputs of the graph stay as they are.
So the channels that can go are found together: all that may go are assumed to go, and one after the
other stays that something else needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.training.graphs.graph import Concatenation, Convolution, LayerGraph, Node, Score

Mask = npt.NDArray[np.bool_]
Masks = Mapping[str, Mask]


class PruningError(ValueError):
    """Masks that do not fit a graph."""


def tensor_channels(graph: LayerGraph) -> dict[str, int]:
    """Number of channels of every tensor of a graph."""
    channels = {spec.name: spec.channels for spec in graph.inputs}
    for node in graph.nodes:
        if isinstance(node, Convolution):
            channels[node.target] = len(node.bias) // node.upscale**2
        elif isinstance(node, Concatenation):
            channels[node.target] = sum(channels[name] for name in node.sources)
        else:
            channels[node.target] = channels[node.source]
    return channels


def removable(graph: LayerGraph, dead: Masks) -> dict[str, Mask]:
    """Find the channels that can be left out without a change of the graph's outputs.

    Args:
        graph: in full precision.
        dead: by tensor, True for channels that are exactly 0 in every cell of every input that
            matters; tensors without a mask have none.

    Returns:
        By tensor, (C,) True for channels that go. At least one of each tensor stays.

    Raises:
        PruningError: for a mask of a tensor that is not there, or of another length.
    """
    channels = tensor_channels(graph)
    for name, mask in dead.items():
        if name not in channels or mask.shape != (channels[name],):
            raise PruningError(
                f"graph {graph.name}: a mask of {mask.shape} for tensor {name}, which has "
                f"{channels.get(name, 'no')} channels"
            )
    none = {name: np.zeros(count, np.bool_) for name, count in channels.items()}
    zero = {name: mask | dead.get(name, False) for name, mask in none.items()}
    for node in graph.nodes:
        if isinstance(node, Concatenation):
            zero[node.target] |= np.concatenate([zero[name] for name in node.sources])
    gone = {name: ~mask for name, mask in none.items()}
    for spec in (*graph.inputs, *graph.outputs):
        gone[spec.name][:] = False
    while True:
        before = {name: mask.copy() for name, mask in gone.items()}
        for node in reversed(graph.nodes):
            _keep_what_is_needed(node, zero, gone)
        for mask in gone.values():
            mask[0] &= not mask.all()
        if all(np.array_equal(before[name], mask) for name, mask in gone.items()):
            return gone


def prune(graph: LayerGraph, dead: Masks) -> LayerGraph:
    """Leave channels out; see `removable` for the arguments and errors.

    Returns:
        A graph with the same inputs and outputs. Its outputs are the same wherever the channels
        that `dead` names are 0: only products with 0 are left out.
    """
    kept = {name: ~mask for name, mask in removable(graph, dead).items()}
    nodes = [
        _narrowed(node, kept) if isinstance(node, Convolution) else node for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _narrowed(node: Convolution, kept: Masks) -> Convolution:
    rows = np.tile(kept[node.target], node.upscale**2)
    weight, groups = node.weight[rows], node.groups
    if groups > 1:  # whole groups go
        groups = int(kept[node.source].sum()) // node.weight.shape[1]
    else:
        weight = weight[:, kept[node.source]]
    weight = np.ascontiguousarray(weight)
    return replace(node, weight=weight, bias=node.bias[rows], groups=groups)


def _keep_what_is_needed(node: Node, zero: Masks, gone: dict[str, Mask]) -> None:
    """Take from the channels that go what a node needs."""
    if isinstance(node, Score):
        gone[node.source][:] = False
        gone[node.target][:] = False
    elif isinstance(node, Concatenation):
        start = 0
        for name in node.sources:
            stop = start + len(gone[name])
            _meet(gone[node.target][start:stop], gone[name])
            start = stop
    else:
        if node.residual is not None:
            _meet(gone[node.target], gone[node.residual])
        if node.groups > 1:
            _keep_groups(node, gone)
        else:
            gone[node.source] &= zero[node.source] | _unread(node, gone[node.target])


def _meet(target: Mask, source: Mask) -> None:
    """Let two tensors lose the same channels; the source may be one before a pixel shuffle."""
    cells = source.reshape(-1, len(target))
    target &= cells.all(axis=0)
    cells &= target


def _unread(node: Convolution, gone: Mask) -> Mask:
    """Input channels that none of the rows that stay multiplies with anything but 0."""
    rows = node.weight[~np.tile(gone, node.upscale**2)]
    unread: Mask = ~(rows != 0).any(axis=(0, 2, 3))
    return unread


def _keep_groups(node: Convolution, gone: dict[str, Mask]) -> None:
    """Let groups go as wholes, and as many that the others can still be merged as before."""
    source, target = gone[node.source], gone[node.target]
    if node.upscale > 1:  # rows of a group lie in several channels
        source[:] = target[:] = False
        return
    groups = [mask.reshape(node.groups, -1) for mask in (source, target)]
    whole = np.array([bool(group.all()) for group in np.concatenate(groups, axis=1)])
    depthwise = node.weight.shape[1] == 1
    merged = 1 if depthwise else node.groups // node.wide_groups
    surplus = int(whole.sum()) % merged
    whole[np.flatnonzero(whole)[:surplus]] = False
    for part in groups:
        part &= whole[:, None]
