# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization of a folded network: scales from calibration, INT8 weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.training.export.graph import (
    Concatenation,
    Convolution,
    Graph,
    widen_weight,
)
from quantv2x_ros.training.export.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.calibration import (
    Calibration,
    CalibrationFrame,
    calibrate,
)
from quantv2x_ros.training.quantization.scales import (
    UNSIGNED_MAX,
    QuantizedWeight,
    TensorScale,
    quantize_weight,
)


def widen(graph: Graph) -> Graph:
    """Widen narrow groups: the same function, and OpenVINO's int8 kernels are twice as fast."""
    nodes = (node.widened() if isinstance(node, Convolution) else node for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def _wide_weight(convolution: Convolution, method: str) -> QuantizedWeight:
    """Quantize, then widen: zeros would only cost the search for scales time."""
    narrow = quantize_weight(convolution, method=method)
    wide = widen_weight(narrow.values, convolution.groups, convolution.wide_groups)
    return QuantizedWeight(wide, narrow.scales)


def _graph_scales(graph: Graph, calibration: Calibration, method: str) -> dict[str, TensorScale]:
    """Scales of a graph's quantized tensors.

    Joined tensors share the scale of what they are joined to, so that joining is copying.
    """
    alias: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(node, Concatenation):
            alias.update(dict.fromkeys(node.sources, node.target))
    names = [spec.name for spec in graph.inputs]
    names += [c.target for c in graph.convolutions if c.rounded]
    names += [node.target for node in graph.nodes if isinstance(node, Concatenation)]
    scales = {}
    for name in names:
        histogram = calibration.histograms[tensor_name(graph.name, alias.get(name, name))]
        scales[name] = histogram.scale(method)
    return scales


def raised_feature(calibration: Calibration) -> tuple[npt.NDArray[np.float32], TensorScale]:
    """Offset that makes the decoded feature non-negative, and the scale of the raised feature."""
    offset = np.maximum(-calibration.decoded_low, 0).astype(np.float32)
    highest = float((calibration.decoded_high + offset).max())
    return offset, TensorScale(highest / UNSIGNED_MAX)


def quantize_network(
    network: QuantV2XNetwork,
    frames: Iterable[CalibrationFrame],
    *,
    activations: str = "l3",
    weights: str = "mse",
    heads: str = "int8",
) -> NetworkGraphs:
    """Quantize a trained network to INT8.

    Args:
        network: in eval mode.
        frames: calibration frames with real numbers of agents.
        activations: "l3", "l4", "mse" or "minmax", see Histogram.scale.
        weights: "mse" or "minmax", see quantize_weight.
        heads: weights of the heads, "int8" or "fp32"; their outputs are real numbers in any case.

    Raises:
        ValueError: for no frames, frames that leave a tensor at 0, or unknown methods or heads.
    """
    if heads not in ("int8", "fp32"):
        raise ValueError(f"heads: got '{heads}', allowed are int8 and fp32")
    calibration = calibrate(NetworkGraphs.fold(network), frames)
    offset, decoded_scale = raised_feature(calibration)
    folded = NetworkGraphs.fold(network, offset)
    scales: dict[str, TensorScale] = {}
    quantized: dict[str, QuantizedWeight] = {}
    graphs = {}
    for name, narrow in folded.graphs.items():
        graph = graphs[name] = widen(narrow)
        for tensor, scale in _graph_scales(graph, calibration, activations).items():
            scales[tensor_name(name, tensor)] = scale
        for convolution in narrow.convolutions:
            if convolution.rounded or heads == "int8":
                quantized[tensor_name(name, convolution.name)] = _wide_weight(convolution, weights)
    scales[tensor_name("pyramid", "decoded")] = decoded_scale
    return replace(folded, graphs=graphs, scales=scales, weights=quantized)
