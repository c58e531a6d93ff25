# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A network on its way from points to boxes whose parts can be rounded, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from quantv2x_ros.training.export.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.network import HeadOutputs, QuantV2XNetwork
from quantv2x_ros.training.pyramid import fuse_frame
from quantv2x_ros.training.quantization.executor import round_to_scale
from quantv2x_ros.training.quantization.learnable import LearnableNodes, LearnedWeight

#: The graphs in order: what is sent, what each agent's map becomes, what the fused map becomes.
STAGES = ("encoder", "pyramid", "head")
LEVELS = 3


@dataclass(frozen=True)
class StudentOutputs:
    """What a network makes of a batch.

    Attributes:
        heads: boxes, (B, C, H, W).
        occupancy: logits of the three levels, (sum of agents, 1, h, w).
        levels: each agent's own maps, (sum of agents, C, h, w).
        fused: fused maps, (B, C, h, w).
    """

    heads: HeadOutputs
    occupancy: tuple[torch.Tensor, ...]
    levels: tuple[torch.Tensor, ...]
    fused: tuple[torch.Tensor, ...]


class Student(nn.Module):
    """A quantized network to be trained; with no stage rounded, its full-precision teacher.

    Pillar layer and codebook stay as they are: indices keep their meaning.

    Args:
        network: trained, for pillar layer and codebook.
        graphs: the same network quantized, before its groups are widened.
        bfloat16: convolutions in bfloat16.
    """

    def __init__(self, network: QuantV2XNetwork, graphs: NetworkGraphs, bfloat16: bool) -> None:
        super().__init__()
        if network.codebook is None:
            raise ValueError("the network has no codebook: nothing could be transmitted")
        self._network = network.eval().requires_grad_(False)
        self._codebook = network.codebook
        self._graphs = graphs
        self._offset = torch.from_numpy(graphs.offset)[:, None, None]

        def nodes(stage: str, rounded: bool) -> LearnableNodes:
            return LearnableNodes(
                graphs.graphs[stage].nodes,
                graphs.graph_scales(stage) if rounded else {},
                graphs.graph_weights(stage) if rounded else {},
                LearnedWeight,
                bfloat16,
            )

        self.rounded = nn.ModuleDict({stage: nodes(stage, True) for stage in STAGES})
        self.exact = nn.ModuleDict({stage: nodes(stage, False) for stage in STAGES})
        self.exact.requires_grad_(False)

    def parameters_of(self, stage: str) -> list[nn.Parameter]:
        """Weights, biases and steps of a stage's rounded nodes."""
        return [p for p in self.rounded[stage].parameters() if p.requires_grad]

    def _run(
        self, stage: str, inputs: dict[str, torch.Tensor], rounded: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        if stage in rounded:
            scales = self._graphs.graph_scales(stage)
            inputs = {n: _passed(v, round_to_scale(v, scales[n])) for n, v in inputs.items()}
            values: dict[str, torch.Tensor] = self.rounded[stage](inputs)
        else:
            values = self.exact[stage](inputs)
        return values

    def forward(
        self,
        canvas: torch.Tensor,
        thetas: torch.Tensor,
        agents: Sequence[int],
        rounded: Sequence[str],
    ) -> StudentOutputs:
        """Run a batch.

        Args:
            canvas: (sum of agents, C, rows, columns) scattered pillar features.
            thetas: (sum of agents, 2, 3) float64.
            agents: number of agents of each frame.
            rounded: stages that round; the others are in full precision.
        """
        feature = self._run("encoder", {"pillars": canvas}, rounded)["feature"]
        heard = self._network.heard(feature, self._codebook(feature).features, agents)
        decoded = heard + self._offset
        values = self._run("pyramid", {"decoded": decoded}, rounded)
        levels = tuple(values[f"level{i}"] for i in range(LEVELS))
        fused = []
        for level in range(LEVELS):
            frames = zip(
                levels[level].split(list(agents)),
                values[f"score{level}"].split(list(agents)),
                thetas.split(list(agents)),
                strict=True,
            )
            fused.append(torch.cat([fuse_frame(f, s, t) for f, s, t in frames]))
        out = self._run("head", {f"fused{i}": fused[i] for i in range(LEVELS)}, rounded)
        return StudentOutputs(
            HeadOutputs(out["cls"], out["reg"], out["dir"]),
            tuple(values[f"occupancy{i}"] for i in range(LEVELS)),
            levels,
            tuple(fused),
        )

    def decided(self) -> NetworkGraphs:
        """The trained network, ready for simulation and export."""
        weights, scales = dict(self._graphs.weights), dict(self._graphs.scales)
        graphs = {}
        for stage in STAGES:
            nodes = self.rounded[stage]
            assert isinstance(nodes, LearnableNodes)
            for name, weight in nodes.decided_weights().items():
                weights[tensor_name(stage, name)] = weight
            for name, scale in nodes.decided_scales().items():
                scales[tensor_name(stage, name)] = scale
            graphs[stage] = replace(self._graphs.graphs[stage], nodes=nodes.decided_nodes())
        return replace(self._graphs, graphs=graphs, weights=weights, scales=scales)


def _passed(value: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """Rounded forwards, the value's gradient backwards."""
    return value + (rounded - value).detach()
