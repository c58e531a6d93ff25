# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts a graph's operations."""

from __future__ import annotations

from collections.abc import Iterator

from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph, node_sources


def convolution_cells(
    graph: LayerGraph, pillar_shape: tuple[int, int]
) -> Iterator[tuple[Convolution, int]]:
    """Yield a graph's convolutions with the number of cells that each is computed at.

    Args:
        graph: encoder, pyramid or head.
        pillar_shape: rows and columns of the pillar grid.
    """
    rows, columns = pillar_shape
    stride = 1 if graph.name == "encoder" else 2
    reduction = {spec.name: spec.reduction * stride for spec in graph.inputs}
    for node in graph.nodes:
        if isinstance(node, Convolution):
            own = reduction[node.source] * node.stride
            yield node, (rows // own) * (columns // own)
            reduction[node.target] = own // node.upscale
        else:
            reduction[node.target] = reduction[node_sources(node)[0]]


def multiply_accumulates(graph: LayerGraph, pillar_shape: tuple[int, int]) -> int:
    """Multiply-accumulates of a graph for one whole map; see `convolution_cells`."""
    return sum(cells * node.weight.size for node, cells in convolution_cells(graph, pillar_shape))
