# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Block-wise reconstruction of a quantized network on a few unlabelled frames.

Each block in turn (encoder, pyramid, deblocks and shrink) learns which weights to round up and
which down (AdaRound, arXiv 2004.10568) and the steps of its activations, so that its output comes
close to the full-precision network's (BRECQ, arXiv 2102.05426). It sees a random mixture of rounded
and real inputs and activations (QDrop, arXiv 2203.05740). At the end of each pyramid scale, what
counts as well is the map that the frame's agents fuse to (the alignment of arXiv 2509.03704,
section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.graphs.scales import QuantizationError
from quantv2x_ros.training.quantization.alignment import FusedMapAlignment
from quantv2x_ros.training.quantization.block_learning import (
    BlockTask,
    ReconstructionConfig,
    learn_block,
)
from quantv2x_ros.training.quantization.blocks import Block, split_blocks
from quantv2x_ros.training.quantization.crops import Crop
from quantv2x_ros.training.quantization.learnable import AdaptiveRounding, LearnableNodes
from quantv2x_ros.training.quantization.streams import Stream, mean_square_error

Report = Callable[["BlockResult", int, int], object]


@dataclass(frozen=True)
class BlockResult:
    """What the reconstruction of a block came to, on all crops, with all decisions made.

    Attributes:
        name: graph and output tensor.
        before: mean square error of the output, weights rounded to the nearest.
        after: with the learned rounding.
        fused_before: of the fused map; None where the block does not end a pyramid scale.
        fused_after: the same with the learned rounding.
        turned: share of the weights that are not rounded to the nearest.
        kept: whether the learned rounding is kept; it is not where it made the error larger.
    """

    name: str
    before: float
    after: float
    fused_before: float | None
    fused_after: float | None
    turned: float
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


class Reconstruction:
    """Reconstructs a quantized network.

    Args:
        network: quantized, before its groups are widened.
        crops: crops of calibration frames, with real numbers of agents.
        config: how.
    """

    def __init__(
        self, network: NetworkGraphs, crops: Sequence[Crop], config: ReconstructionConfig
    ) -> None:
        if not crops:
            raise QuantizationError("reconstruction: no crop was given")
        self._config = config
        self._crops = crops
        pillars = [crop.pillars for crop in crops]
        self._full = Stream(replace(network, scales={}, weights={}), {"pillars": list(pillars)})
        self._rounded = Stream(network, {"pillars": list(pillars)})
        self.results: list[BlockResult] = []

    def run(self, report: Report) -> NetworkGraphs:
        """Reconstruct all blocks in order.

        Args:
            report: called after every block with its result, blocks done and blocks in all.

        Returns:
            The network with learned rounding and steps.
        """
        blocks = {
            name: split_blocks(self._rounded.network.graphs[name])
            for name in ("encoder", "pyramid", "head")
        }
        total = sum(map(len, blocks.values()))
        streams = (self._full, self._rounded)
        for graph, parts in blocks.items():
            for stream in streams:
                stream.round_inputs(graph)
            for part in parts:
                result = self._reconstruct(graph, part)
                self.results.append(result)
                report(result, len(self.results), total)
                for stream in streams:
                    stream.forget(*(n for n in part.inputs if not n.startswith("level")))
            for stream in streams:
                if graph == "encoder":
                    stream.transmit()
                elif graph == "pyramid":
                    stream.run_heads(graph)
                    stream.fuse(self._crops)
        return self._rounded.network

    def _reconstruct(self, graph: str, block: Block) -> BlockResult:
        self._full.run(graph, block)
        self._rounded.run(graph, block)
        target, nearest = self._full.values[block.output], self._rounded.values[block.output]
        alignment = None
        if graph == "pyramid" and block.output in ("level0", "level1", "level2"):
            level = int(block.output[-1])
            alignment = FusedMapAlignment(
                self._rounded.network, level, self._crops, target, self._full.network
            )
        before = mean_square_error(nearest, target)
        fused_before = alignment.error(nearest) if alignment else None
        task = BlockTask(
            {name: self._full.values[name] for name in block.inputs},
            {name: self._rounded.values[name] for name in block.inputs},
            block.output,
            target,
            before,
            alignment,
            fused_before or 0.0,
        )
        learned = self._learnable(graph, block)
        learn_block(learned, task, self._config, self._config.seed + len(self.results))
        former = self._rounded.network
        self._adopt(graph, learned)
        turned = self._turned(graph, former, learned)
        self._rounded.run(graph, block)
        outcome = self._rounded.values[block.output]
        after = mean_square_error(outcome, target)
        fused_after = alignment.error(outcome) if alignment else None
        kept = after + (fused_after or 0.0) < before + (fused_before or 0.0)
        if not kept:
            self._rounded.network = former
            self._rounded.values[block.output] = nearest
        name = tensor_name(graph, block.output)
        return BlockResult(name, before, after, fused_before, fused_after, turned, kept)

    def _learnable(self, graph: str, block: Block) -> LearnableNodes:
        network = self._rounded.network
        return LearnableNodes(
            block.nodes,
            network.graph_scales(graph),
            network.graph_weights(graph),
            AdaptiveRounding,
            self._config.bfloat16,
        )

    def _adopt(self, graph: str, learned: LearnableNodes) -> None:
        network = self._rounded.network
        weights, scales = dict(network.weights), dict(network.scales)
        for name, weight in learned.decided_weights().items():
            weights[tensor_name(graph, name)] = weight
        for name, scale in learned.decided_scales().items():
            scales[tensor_name(graph, name)] = scale
        self._rounded.network = replace(network, weights=weights, scales=scales)

    @staticmethod
    def _turned(graph: str, former: NetworkGraphs, learned: LearnableNodes) -> float:
        """Share of weights that the learned rounding sends elsewhere than to the nearest."""
        turned, total = 0, 0
        for name, weight in learned.decided_weights().items():
            nearest = former.weights[tensor_name(graph, name)].values
            turned += int((weight.values != nearest).sum())
            total += nearest.size
        return turned / max(1, total)
