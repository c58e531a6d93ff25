# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tensors of all crops on their way through a network, in full precision and rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from quantv2x_ros.training.graphs.executor import GraphExecutor, round_to_scale
from quantv2x_ros.training.graphs.graph import LayerGraph, TensorSpec, node_sources
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.pyramid import fuse_frame
from quantv2x_ros.training.quantization.blocks import Block, is_head
from quantv2x_ros.training.quantization.crops import Crop

#: A tensor of every crop, (N, C, h, w) each.
Maps = list[torch.Tensor]


@dataclass
class Stream:
    """One precision's way through a network.

    Attributes:
        network: in that precision.
        values: tensors by name, only those that are still needed.
    """

    network: NetworkGraphs
    values: dict[str, Maps]

    def round_inputs(self, graph: str) -> None:
        """Round a graph's inputs as its engine gets them; nothing in full precision."""
        scales = self.network.graph_scales(graph)
        for spec in self.network.graphs[graph].inputs:
            if spec.name in scales:
                maps = self.values[spec.name]
                self.values[spec.name] = [round_to_scale(one, scales[spec.name]) for one in maps]

    def run(self, graph: str, block: Block) -> None:
        """Compute a block's output."""
        executor = GraphExecutor(
            block.graph(graph),
            self.network.graph_scales(graph),
            self.network.graph_weights(graph),
        )
        inputs = [self.values[name] for name in block.inputs]
        self.values[block.output] = [
            executor(dict(zip(block.inputs, maps, strict=True)))[block.output]
            for maps in zip(*inputs, strict=True)
        ]

    def run_heads(self, graph: str) -> None:
        """Compute the leaves of a graph: occupancy and scores, or boxes."""
        nodes = tuple(node for node in self.network.graphs[graph].nodes if is_head(node))
        made = {node.target for node in nodes}
        read = {name for node in nodes for name in node_sources(node)} - made
        specs = tuple(TensorSpec(name, 0) for name in sorted(read))
        executor = GraphExecutor(
            LayerGraph(graph, specs, nodes, ()), {}, self.network.graph_weights(graph)
        )
        for crop in range(len(self.values[specs[0].name])):
            out = executor({spec.name: self.values[spec.name][crop] for spec in specs})
            for name in made:
                self.values.setdefault(name, []).append(out[name])

    def forget(self, *names: str) -> None:
        """Drop tensors."""
        for name in names:
            self.values.pop(name, None)

    def transmit(self) -> None:
        """Code ``feature`` and look it up: ``decoded``; the ego's own stays, if so made."""
        book, offset = self.network.codebook, self.network.offset
        decoded = []
        for maps in self.values.pop("feature"):
            cells = maps.permute(0, 2, 3, 1).contiguous().numpy()
            looked_up = np.stack([book.decode_map(book.encode_map(one)) for one in cells])
            if not self.network.coded_ego:
                looked_up[0] = cells[0]
            decoded.append(torch.from_numpy(looked_up + offset).permute(0, 3, 1, 2).contiguous())
        self.values["decoded"] = decoded

    def fuse(self, crops: Sequence[Crop]) -> None:
        """Fuse every crop's agents: ``fused0..2`` of ``level0..2`` and ``score0..2``."""
        for level in range(3):
            features = self.values.pop(f"level{level}")
            scores = self.values.pop(f"score{level}")
            self.values[f"fused{level}"] = [
                fuse_frame(feature, score, crop.thetas)
                for feature, score, crop in zip(features, scores, crops, strict=True)
            ]


def mean_square_error(first: Maps, second: Maps) -> float:
    """Mean square difference of two tensors of the same crops."""
    total = sum(float(((a - b) ** 2).sum()) for a, b in zip(first, second, strict=True))
    return total / sum(a.numel() for a in first)
