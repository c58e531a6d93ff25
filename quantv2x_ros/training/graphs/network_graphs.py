# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The three graphs of a network, in full precision or quantized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars.pillar_net import PillarWeights
from quantv2x_ros.inference.model.health import Health
from quantv2x_ros.training.graphs.executor import GraphExecutor
from quantv2x_ros.training.graphs.folding import (
    encoder_graph,
    fold_codebook,
    fold_pillars,
    head_graph,
    pyramid_graph,
)
from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph, widen_weight
from quantv2x_ros.training.graphs.pruning import Masks, PruningError, prune
from quantv2x_ros.training.graphs.scales import (
    QuantizedWeight,
    TensorScale,
    TensorScales,
)
from quantv2x_ros.training.network import QuantV2XNetwork

Float32 = npt.NDArray[np.float32]


def tensor_name(graph: str, tensor: str) -> str:
    """Name of a tensor among all graphs' scales."""
    return f"{graph}/{tensor}"


@dataclass(frozen=True)
class NetworkGraphs:
    """A network ready for export.

    Attributes:
        grid: the inference grid.
        pillars: folded pillar weights.
        codebook: folded codebook.
        graphs: encoder, pyramid and head.
        architecture: see NetworkConfig.
        score_gain: see NetworkConfig.
        coded_ego: see NetworkConfig.
        offset: (C,), what the decoded feature is raised by before the pyramid, so that it is
            never negative; zeros in full precision.
        scales: by tensor_name; empty in full precision.
        weights: by tensor_name(graph, convolution); empty in full precision.
        health: what was seen of its channels; None where no frame was run.
    """

    grid: BevGrid
    pillars: PillarWeights
    codebook: ResidualCodebook
    graphs: Mapping[str, LayerGraph]
    architecture: str
    score_gain: float
    coded_ego: bool
    offset: Float32
    scales: TensorScales = field(default_factory=dict)
    weights: Mapping[str, QuantizedWeight] = field(default_factory=dict)
    health: Health | None = None

    @classmethod
    def fold(cls, network: QuantV2XNetwork, offset: Float32 | None = None) -> NetworkGraphs:
        """Fold a network in full precision."""
        codebook = fold_codebook(network)
        raised = np.zeros(codebook.channels, np.float32) if offset is None else offset
        graphs = (encoder_graph(network), pyramid_graph(network, raised), head_graph(network))
        return cls(
            network.config.grid,
            fold_pillars(network),
            codebook,
            {graph.name: graph for graph in graphs},
            network.config.architecture,
            network.config.score_gain,
            network.config.coded_ego,
            raised,
        )

    @property
    def precision(self) -> str:
        """fp32 or int8."""
        return "int8" if self.scales else "fp32"

    def graph_scales(self, graph: str) -> dict[str, TensorScale]:
        """Scales of one graph's tensors, by their names in it."""
        prefix = tensor_name(graph, "")
        return {k[len(prefix) :]: v for k, v in self.scales.items() if k.startswith(prefix)}

    def graph_weights(self, graph: str) -> dict[str, QuantizedWeight]:
        """Quantized weights of one graph's convolutions."""
        prefix = tensor_name(graph, "")
        return {k[len(prefix) :]: v for k, v in self.weights.items() if k.startswith(prefix)}

    def executor(
        self, graph: str, dtype: torch.dtype = torch.float32, bfloat16: bool = False
    ) -> GraphExecutor:
        """One graph in torch, in this object's precision; see GraphExecutor."""
        return GraphExecutor(
            self.graphs[graph],
            self.graph_scales(graph),
            self.graph_weights(graph),
            dtype,
            bfloat16,
        )

    def pruned(self, dead: Mapping[str, Masks]) -> NetworkGraphs:
        """Leave out channels that are always 0, graph by graph; see `prune`.

        Raises:
            PruningError: for a quantized network: its weights would no longer fit.
        """
        if self.weights:
            raise PruningError("channels are left out before a network is quantized, not after")
        graphs = {name: prune(graph, dead.get(name, {})) for name, graph in self.graphs.items()}
        return replace(self, graphs=graphs)

    def widened(self) -> NetworkGraphs:
        """Widen narrow groups: the same function, and OpenVINO's int8 kernels are twice as fast.

        Weights are widened after they were quantized: zeros would only cost the search for scales
        and the reconstruction time.
        """
        graphs, weights = {}, {}
        for name, graph in self.graphs.items():
            nodes = tuple(n.widened() if isinstance(n, Convolution) else n for n in graph.nodes)
            graphs[name] = replace(graph, nodes=nodes)
            for node in graph.convolutions:
                key = tensor_name(name, node.name)
                if key in self.weights:
                    weight = self.weights[key]
                    values = widen_weight(weight.values, node.groups, node.wide_groups)
                    weights[key] = replace(weight, values=values)
        return replace(self, graphs=graphs, weights=weights)
