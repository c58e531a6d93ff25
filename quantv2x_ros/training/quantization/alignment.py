# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Alignment of the fused map between a quantized network and its full-precision one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from quantv2x_ros.training.graphs.graph import Convolution, Score
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.pyramid import fuse_frame
from quantv2x_ros.training.quantization.crops import Crop
from quantv2x_ros.training.quantization.learnable import AdaptiveRounding, LearnableNodes
from quantv2x_ros.training.quantization.streams import Maps, mean_square_error


class FusedMapAlignment:
    """Fused maps at the end of a pyramid scale, from the level's maps alone.

    Args:
        network: quantized; its occupancy head makes the scores.
        level: 0, 1 or 2.
        crops: all crops.
        target: the full-precision network's level maps.
        full: the full-precision network.
    """

    def __init__(
        self,
        network: NetworkGraphs,
        level: int,
        crops: Sequence[Crop],
        target: Maps,
        full: NetworkGraphs,
    ) -> None:
        self._crops = crops
        self._nodes = self._head(network, level)
        exact = self._head(full, level)
        with torch.no_grad():
            self.target = [
                self._fuse(exact, maps, crop) for maps, crop in zip(target, crops, strict=True)
            ]

    @staticmethod
    def _head(network: NetworkGraphs, level: int) -> LearnableNodes:
        names = {f"occupancy{level}", f"score{level}"}
        nodes = tuple(node for node in network.graphs["pyramid"].nodes if node.name in names)
        assert isinstance(nodes[0], Convolution)
        assert isinstance(nodes[1], Score)
        weight = network.graph_weights("pyramid").get(nodes[0].name)
        if weight is not None:
            nodes = (replace(nodes[0], weight=weight.dequantized()), nodes[1])
        return LearnableNodes(nodes, {}, {}, AdaptiveRounding, bfloat16=False)

    @staticmethod
    def _fuse(head: LearnableNodes, maps: torch.Tensor, crop: Crop) -> torch.Tensor:
        convolution, score = head.nodes
        assert isinstance(convolution, Convolution)
        values = head({convolution.source: maps})
        return fuse_frame(maps, values[score.target], crop.thetas)

    def fused(self, maps: Maps, chosen: Sequence[int]) -> Maps:
        """Fuse the level's maps of some crops."""
        return [
            self._fuse(self._nodes, one, self._crops[crop])
            for one, crop in zip(maps, chosen, strict=True)
        ]

    @torch.no_grad()
    def error(self, maps: Maps) -> float:
        """Mean square error of the fused maps of all crops."""
        return mean_square_error(self.fused(maps, range(len(self._crops))), self.target)
