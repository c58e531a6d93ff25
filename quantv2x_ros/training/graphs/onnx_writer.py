# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes graphs as ONNX: full precision, or INT8 with explicit QuantizeLinear/DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantv2x_ros.training.graphs.graph import (
    SCORE_FLOOR,
    Concatenation,
    Convolution,
    LayerGraph,
    Score,
    TensorSpec,
)
from quantv2x_ros.training.graphs.scales import QuantizedWeight, TensorScale, TensorScales

#: GridSample needs 16; TensorRT 8.6 reads up to 17.
OPSET = 17
IR_VERSION = 8
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass
class GraphBuilder:
    """Collects the nodes and constants of one ONNX model.

    Attributes:
        scales: scales of the tensors to quantize; empty for full precision.
        weights: quantized weights by convolution name; empty for full precision.
        nodes: ONNX nodes so far.
        initializers: constants so far.
    """

    scales: TensorScales = field(default_factory=dict)
    weights: dict[str, QuantizedWeight] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node, named after its output; returns the output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Append a constant; returns its name."""
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def quantize(self, source: str, name: str, scale: TensorScale) -> str:
        """Quantize a float tensor; returns the name of the integers, ``<name>.q``."""
        source = self._clip(source, name, scale)
        return self.add("QuantizeLinear", [source, *self._scale(name, scale)], f"{name}.q")

    def _clip(self, source: str, name: str, scale: TensorScale) -> str:
        """Clip to fewer than 8 bits, which the 8-bit integers alone would not."""
        if scale.bits == 8:
            return source
        low, high = (
            self.constant(f"{name}.{end}", np.array(limit * scale.scale, np.float32))
            for end, limit in zip(("low", "high"), scale.limits, strict=True)
        )
        return self.add("Clip", [source, low, high], f"{name}.clipped")

    def dequantize(self, source: str, name: str, scale: TensorScale) -> str:
        """Dequantize integers; returns the name of the float tensor, ``name``."""
        return self.add("DequantizeLinear", [source, *self._scale(name, scale)], name)

    def _scale(self, name: str, scale: TensorScale) -> list[str]:
        names = [f"{name}.scale", f"{name}.zero_point"]
        if not any(known.name == names[0] for known in self.initializers):
            kind = np.int8 if scale.signed else np.uint8
            self.constant(names[0], np.array(scale.scale, dtype=np.float32))
            self.constant(names[1], np.array(0, dtype=kind))
        return names

    def finish(self, name: str, source: str, target: str) -> None:
        """Make tensor ``name`` of float ``source``: as it is, or through its scale.

        Args:
            name: tensor name in the graph.
            source: the float value.
            target: name that readers use; equal to ``name``.
        """
        if name in self.scales:
            self.dequantize(self.quantize(source, name, self.scales[name]), name, self.scales[name])
        elif source != target:
            self.add("Identity", [source], target)

    def convolution(self, node: Convolution) -> None:
        """Append a convolution with all that follows it."""
        quantized = self.weights.get(node.name)
        if quantized is None:
            weight = self.constant(f"{node.name}.weight", node.weight)
        else:
            weight = self._quantized_weight(node.name, quantized)
        bias = self.constant(f"{node.name}.bias", node.bias)
        size = int(node.weight.shape[2])
        value = self.add(
            "Conv",
            [node.source, weight, bias],
            f"{node.name}.conv",
            kernel_shape=[size, size],
            strides=[node.stride] * 2,
            pads=[node.padding] * 4,
            group=node.groups,
        )
        if node.residual is not None:
            value = self.add("Add", [value, node.residual], f"{node.name}.sum")
        if node.relu:
            value = self.add("Relu", [value], f"{node.name}.relu")
        if node.upscale > 1 and node.target in self.scales:
            self._shuffled(node, value)
            return
        if node.upscale > 1:
            value = self._shuffle(value, f"{node.name}.shuffle", node.upscale)
        self.finish(node.target, value, node.target)

    def _shuffle(self, source: str, output: str, upscale: int) -> str:
        return self.add("DepthToSpace", [source], output, blocksize=upscale, mode="DCR")

    def _shuffled(self, node: Convolution, value: str) -> None:
        """Quantize before the pixel shuffle: integers are a quarter of the bytes."""
        scale = self.scales[node.target]
        names = self._scale(node.target, scale)
        value = self._clip(value, node.target, scale)
        packed = self.add("QuantizeLinear", [value, *names], f"{node.target}.packed")
        shuffled = self._shuffle(packed, f"{node.target}.q", node.upscale)
        self.dequantize(shuffled, node.target, scale)

    def _quantized_weight(self, name: str, weight: QuantizedWeight) -> str:
        values = self.constant(f"{name}.weight.q", weight.values)
        scales = self.constant(f"{name}.weight.scale", weight.scales)
        zeros = self.constant(f"{name}.weight.zero_point", np.zeros(len(weight.scales), np.int8))
        return self.add("DequantizeLinear", [values, scales, zeros], f"{name}.weight", axis=0)

    def score(self, node: Score) -> None:
        """Append gain * (sigmoid(o) + 1e-4)."""
        likely = self.add("Sigmoid", [node.source], f"{node.name}.sigmoid")
        gain = self.constant(f"{node.name}.gain", np.array(node.gain, np.float32))
        floor = self.constant(f"{node.name}.floor", np.array(node.gain * SCORE_FLOOR, np.float32))
        scaled = self.add("Mul", [likely, gain], f"{node.name}.scaled")
        self.finish(
            node.target, self.add("Add", [scaled, floor], f"{node.name}.value"), node.target
        )

    def concatenation(self, node: Concatenation) -> None:
        """Append a concatenation; quantized parts are joined as integers (they share a scale)."""
        if node.target not in self.scales:
            self.add("Concat", list(node.sources), node.target, axis=1)
            return
        parts = [f"{source}.q" for source in node.sources]
        joined = self.add("Concat", parts, f"{node.target}.q", axis=1)
        self.dequantize(joined, node.target, self.scales[node.target])

    def body(self, graph: LayerGraph) -> None:
        """Append all nodes of a graph; its inputs must exist under their names."""
        for node in graph.nodes:
            if isinstance(node, Convolution):
                self.convolution(node)
            elif isinstance(node, Concatenation):
                self.concatenation(node)
            else:
                self.score(node)

    def input_nhwc(self, spec: TensorSpec, batch: str | int = 1) -> onnx.ValueInfoProto:
        """Append an NHWC input: integers where the tensor has a scale."""
        border = f"{spec.name}_nhwc"
        source = border
        if spec.name in self.scales:
            # before the transpose: after it, OpenVINO would fuse the scale into FP32 weights
            source = self.dequantize(border, f"{spec.name}.nhwc", self.scales[spec.name])
        self.add("Transpose", [source], spec.name, perm=_TO_NCHW)
        return self.value_info(border, spec, batch)

    def output_nhwc(self, spec: TensorSpec, batch: str | int = 1) -> onnx.ValueInfoProto:
        """Append an NHWC output: integers where the tensor has a scale."""
        border = f"{spec.name}_nhwc"
        source = f"{spec.name}.q" if spec.name in self.scales else spec.name
        self.add("Transpose", [source], border, perm=_TO_NHWC)
        return self.value_info(border, spec, batch)

    def value_info(
        self, border: str, spec: TensorSpec, batch: str | int = 1
    ) -> onnx.ValueInfoProto:
        """Describe a border tensor; heights and widths are free, one name a resolution."""
        kind = TensorProto.FLOAT
        if spec.name in self.scales:
            kind = TensorProto.INT8 if self.scales[spec.name].signed else TensorProto.UINT8
        sizes = (f"height_{spec.reduction}", f"width_{spec.reduction}")
        shape: list[str | int | None] = [batch, *sizes, spec.channels]
        return helper.make_tensor_value_info(border, kind, shape)

    def model(
        self,
        name: str,
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
    ) -> onnx.ModelProto:
        """Finish the model and check it.

        Raises:
            onnx.checker.ValidationError: where it is not valid ONNX.
        """
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="quantv2x_ros"
        )
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def graph_model(graph: LayerGraph, builder: GraphBuilder) -> onnx.ModelProto:
    """Export a graph with NHWC borders named ``<tensor>_nhwc``."""
    inputs = [builder.input_nhwc(spec) for spec in graph.inputs]
    builder.body(graph)
    outputs = [builder.output_nhwc(spec) for spec in graph.outputs]
    return builder.model(graph.name, inputs, outputs)
