# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a network suffers most: each quantized alone, the rest in full precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.detector import TorchDetector
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.quantization.comparison import compare, measure
from quantv2x_ros.training.quantization.simulation import SimulatedNetwork

#: Parts that can be quantized alone.
#: Parts of the heads' graph by how their nodes' names begin, of either architecture.
_HEAD_PARTS = {
    "deblock": "deblocks",
    "merged": "deblocks",
    "shrink": "shrink",
    "cls_tower": "towers",
    "box_tower": "towers",
}


def part_of(graph: str, node: str) -> str:
    """Part of the network that a node of a graph belongs to.

    Those of the light heads are the neck, which brings the scales together, and its towers.
    """
    if node in ("cls", "reg", "dir") or node.startswith(("occupancy", "score")):
        return "heads"
    if graph != "head":
        return graph
    return next((part for start, part in _HEAD_PARTS.items() if node.startswith(start)), "neck")


def parts_of(network: NetworkGraphs) -> list[str]:
    """Return a network's parts in order of execution, the heads last."""
    parts = [part_of(name, n.name) for name, graph in network.graphs.items() for n in graph.nodes]
    return sorted(dict.fromkeys(parts), key=lambda part: part == "heads")


def only_part(network: NetworkGraphs, part: str) -> NetworkGraphs:
    """Keep a quantized network's rounding in one part, and full precision elsewhere.

    Args:
        network: quantized.
        part: a value of `part_of`.
    """
    targets = {
        tensor_name(name, node.target): part_of(name, node.name)
        for name, graph in network.graphs.items()
        for node in graph.nodes
    }
    for name, graph in network.graphs.items():
        for spec in graph.inputs:
            readers = [c for c in graph.convolutions if c.source == spec.name]
            targets[tensor_name(name, spec.name)] = part_of(name, readers[0].name)
    return replace(
        network,
        scales={name: scale for name, scale in network.scales.items() if targets[name] == part},
        weights={
            name: weight
            for name, weight in network.weights.items()
            if part_of(*name.split("/", 1)) == part
        },
    )


def sensitivity(
    network: NetworkGraphs,
    bundle: ModelBundle,
    data: Path,
    config: EvaluationConfig,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Evaluate, in simulation, each part quantized alone.

    Args:
        network: quantized.
        bundle: of the same network, for anchors and post-processing.
        data: dataset.
        config: of the evaluation.
        progress: called with the part, frames done and frames in all.

    Returns:
        A row for nothing quantized, for each part, and for everything: its mAP, and how its boxes
        agree with those of full precision.
    """
    variants = {"nothing": replace(network, scales={}, weights={})}
    variants.update({part: only_part(network, part) for part in parts_of(network)})
    variants["everything"] = network
    rows: list[dict[str, Any]] = []
    reference = None
    for name, variant in variants.items():

        def advance(done: int, total: int, part: str = name) -> None:
            if progress is not None:
                progress(part, done, total)

        detector = TorchDetector(bundle, SimulatedNetwork(variant))
        result, boxes = measure(detector, data, config, advance)
        reference = reference or boxes
        rows.append({"part": name, "mAP": result["mAP"], "boxes": compare(boxes, reference)})
    return rows
