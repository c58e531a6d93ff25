# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Model size and bit operations, as QD-BEV counts them (arXiv 2308.10515, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs

FLOAT_BITS = 32


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        size_bits: of all parameters: weights at their bits, biases, scales, pillar layer and
            codebook tables at 32.
        macs: multiply-accumulates a frame.
        bops: bit operations a frame: those of every layer times the bits of its weights times the
            bits of its input.
    """

    size_bits: int
    macs: int
    bops: int

    def as_dict(self) -> dict[str, float]:
        """Return megabytes, GMAC and TBOPS."""
        return {
            "size_MB": self.size_bits / 8e6,
            "GMAC": self.macs / 1e9,
            "TBOPS": self.bops / 1e12,
        }


def network_cost(network: NetworkGraphs, agents: int) -> Cost:
    """Count a network's cost.

    Args:
        network: in any precision, before narrow groups are widened: what is widened holds zeros.
        agents: agents fused; each runs the encoder, and the ego a pyramid for each.
    """
    size, macs, bops = 0, 0, 0
    tables = network.codebook.tables.size + network.codebook.bias.size
    size += FLOAT_BITS * (tables + network.pillars.linear.size + network.pillars.bias.size)
    for name, graph in network.graphs.items():
        times = 1 if name == "head" else agents
        for node, cells in convolution_cells(graph, network.grid.pillar_shape):
            weight = network.graph_weights(name).get(node.name)
            scale = network.graph_scales(name).get(node.source)
            weight_bits = FLOAT_BITS if weight is None else weight.bits
            input_bits = FLOAT_BITS if scale is None else scale.bits
            size += weight_bits * node.weight.size + FLOAT_BITS * node.bias.size
            size += 0 if weight is None else FLOAT_BITS * weight.scales.size
            count = times * cells * node.weight.size
            macs += count
            bops += count * weight_bits * input_bits
    return Cost(size, macs, bops)


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
            source = node.source if hasattr(node, "source") else node.sources[0]
            reduction[node.target] = reduction[source]
