# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization of a folded network: scales from calibration, rounded weights."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.training.graphs.graph import Concatenation, Convolution, LayerGraph
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.graphs.scales import (
    BITS,
    METHODS,
    UNSIGNED_MAX,
    QuantizationError,
    QuantizedWeight,
    TensorScale,
    quantize_weight,
)
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.calibration import Calibration, calibrate
from quantv2x_ros.training.quantization.health import record_health
from quantv2x_ros.training.quantization.simulation import CalibrationFrame

HEADS = ("int8", "fp32", "body")


@dataclass(frozen=True)
class QuantizationConfig:
    """How a network is quantized.

    Whatever the bits, the tensors between the engines have 8: the pillar map, the feature before
    the codebook and after it, the pyramid's scales and the fused map. The codebook's tables stay
    float32: they are looked up, not multiplied.

    Attributes:
        weight_bits: bits of the convolutions' weights, 8 or 4.
        activation_bits: bits of the tensors inside the engines, 8 or 4.
        activations: method of their scales, see Histogram.scale.
        weights: method of the weights' scales, see quantize_weight.
        heads: weights of the heads (boxes and occupancy): "int8", "fp32", or "body" for
            weight_bits. Their outputs are real numbers in any case.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    activations: str = "l3"
    weights: str = "mse"
    heads: str = "int8"

    def __post_init__(self) -> None:
        """Raise QuantizationError for a value that is not allowed."""
        for name, value, allowed in (
            ("weight bits", self.weight_bits, BITS),
            ("activation bits", self.activation_bits, BITS),
            ("scales of activations", self.activations, METHODS),
            ("scales of weights", self.weights, ("mse", "minmax")),
            ("heads", self.heads, HEADS),
        ):
            if value not in allowed:
                raise QuantizationError(
                    f"{name}: got '{value}', allowed are {', '.join(map(str, allowed))}"
                )

    @classmethod
    def parse(cls, precision: str, scales: str = "l3", heads: str = "int8") -> QuantizationConfig:
        """Make a configuration of a precision such as "w4a8".

        Args:
            precision: bits of weights and activations.
            scales: method of the activations' scales; the weights' are "minmax" with that, and
                "mse" with all others.
            heads: see the class.

        Raises:
            QuantizationError: for a value that is not allowed.
        """
        match = re.fullmatch(r"w(\d+)a(\d+)", precision)
        if match is None:
            raise QuantizationError(
                f"precision: got '{precision}', expected w8a8, w4a8 or the like"
            )
        weights = "minmax" if scales == "minmax" else "mse"
        return cls(int(match[1]), int(match[2]), scales, weights, heads)

    @property
    def precision(self) -> str:
        """Bits of weights and activations, such as "w4a8"."""
        return f"w{self.weight_bits}a{self.activation_bits}"

    def weight_bits_of(self, convolution: Convolution) -> int | None:
        """Bits of a convolution's weights; None where they stay FP32."""
        if convolution.rounded or self.heads == "body":
            return self.weight_bits
        return 8 if self.heads == "int8" else None


def _graph_scales(
    graph: LayerGraph, calibration: Calibration, config: QuantizationConfig
) -> dict[str, TensorScale]:
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
    borders = {spec.name for spec in (*graph.inputs, *graph.outputs)}
    scales = {}
    for name in names:
        histogram = calibration.histograms[tensor_name(graph.name, alias.get(name, name))]
        bits = 8 if name in borders else config.activation_bits
        scales[name] = histogram.scale(config.activations, bits)
    return scales


def raised_feature(calibration: Calibration) -> tuple[npt.NDArray[np.float32], TensorScale]:
    """Offset that makes the decoded feature non-negative, and the scale of the raised feature."""
    offset = np.maximum(-calibration.decoded_low, 0).astype(np.float32)
    highest = float((calibration.decoded_high + offset).max())
    return offset, TensorScale(highest / UNSIGNED_MAX)


def quantize_network(
    network: QuantV2XNetwork,
    frames: Iterable[CalibrationFrame],
    config: QuantizationConfig | None = None,
    keep_dead: bool = False,
) -> NetworkGraphs:
    """Quantize a trained network, weights rounded to the nearest.

    Args:
        network: in eval mode.
        frames: calibration frames with real numbers of agents.
        config: how; None for the defaults.
        keep_dead: keep channels that never fire on the frames.

    Raises:
        QuantizationError: for no frames, or frames that leave a tensor at 0.
    """
    config = config or QuantizationConfig()
    calibration = calibrate(NetworkGraphs.fold(network), frames)
    return quantize_calibrated(network, calibration, config, keep_dead)


def fold_alive(
    network: QuantV2XNetwork,
    calibration: Calibration,
    keep_dead: bool,
    offset: npt.NDArray[np.float32] | None = None,
) -> NetworkGraphs:
    """Fold a network without the channels that never fired, in full precision.

    Args:
        network: in eval mode.
        calibration: what its frames gave.
        keep_dead: keep those channels, and only record them.
        offset: see NetworkGraphs.

    Returns:
        The graphs, with their health.
    """
    whole, seen = NetworkGraphs.fold(network, offset), calibration.relu_inputs
    kept = whole if keep_dead else whole.pruned(seen.dead(whole))
    return replace(kept, health=record_health(whole, kept, seen))


def quantize_calibrated(
    network: QuantV2XNetwork,
    calibration: Calibration,
    config: QuantizationConfig,
    keep_dead: bool = False,
) -> NetworkGraphs:
    """Quantize with what a calibration saw; see quantize_network."""
    offset, decoded_scale = raised_feature(calibration)
    folded = fold_alive(network, calibration, keep_dead, offset)
    scales: dict[str, TensorScale] = {}
    weights: dict[str, QuantizedWeight] = {}
    for name, graph in folded.graphs.items():
        for tensor, scale in _graph_scales(graph, calibration, config).items():
            scales[tensor_name(name, tensor)] = scale
        for convolution in graph.convolutions:
            bits = config.weight_bits_of(convolution)
            if bits is not None:
                weights[tensor_name(name, convolution.name)] = quantize_weight(
                    convolution, method=config.weights, bits=bits
                )
    scales[tensor_name("pyramid", "decoded")] = decoded_scale
    return replace(folded, scales=scales, weights=weights)
