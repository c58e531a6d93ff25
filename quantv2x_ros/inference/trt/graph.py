# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rewrites a bundle's ONNX file into what TensorRT takes: signed INT8, FP16 or FP32 beside it.

The files quantize activations to uint8 with scale s and zero point 0, the native format of CPU
kernels. TensorRT has int8 with zero point 0 alone, so that a value that is never negative keeps 7
bits. With the scale 2 s the signed grid is every second point of the unsigned one, exactly, and up
to 254 of its 255 steps are in reach.

Borders stay uint8, so that both backends take and give the same arrays: an input is cast and
multiplied by its scale; an output is twice its int8 value. Weights stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from quantv2x_ros.inference.engine.engine import DECODED, EngineError


def behind_lookup(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave the table lookup away that a pyramid starts with; its input is then `DECODED`.

    Raises:
        EngineError: for a model that starts with none.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    quantized = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    transposed = makers.get("decoded")
    if transposed is None or "indices" not in {value.name for value in model.graph.input}:
        raise EngineError(f"{model.graph.name} starts with no table lookup; only a pyramid does")
    before = makers[transposed.input[0]]
    border = before.input[0] if quantized else transposed.input[0]
    nodes: list[onnx.NodeProto] = []
    wanted = {value.name for value in model.graph.output}
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output) and border not in node.output:
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            kept.input[:] = [DECODED if name == border else name for name in node.input]
            nodes.insert(0, kept)
            wanted.update(kept.input)
    constants = [item for item in model.graph.initializer if item.name in wanted]
    bias = next(item for item in model.graph.initializer if item.name == "codebook.bias")
    shape = [1, "height_1", "width_1", bias.dims[0]]
    kind = TensorProto.UINT8 if quantized else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        [helper.make_tensor_value_info(DECODED, kind, shape)],
        model.graph.output,
        constants,
    )
    cut = helper.make_model(graph, opset_imports=model.opset_import)
    cut.ir_version = model.ir_version
    return cut


#: Signed steps are so many unsigned ones wide.
STEP_RATIO = 2.0
#: Operations that move integers without changing them.
_MOVES = ("Transpose", "DepthToSpace", "Concat", "Identity", "Reshape")
#: Suffixes of names that this module adds.
_SIGNED, _HALF, _REAL = ".signed", ".half", ".real"


class _Rewriter:
    """Builds the new node list of one graph, in order."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants = {item.name: item for item in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.added: dict[str, onnx.TensorProto] = {}
        self.border_inputs = {
            value.name
            for value in model.graph.input
            if value.type.tensor_type.elem_type == TensorProto.UINT8
        }
        self.border_outputs = {
            value.name
            for value in model.graph.output
            if value.type.tensor_type.elem_type == TensorProto.UINT8
        }
        self.makers = {name: node for node in model.graph.node for name in node.output}
        #: Tensors that hold int8 values now and held uint8 ones before.
        self.integers: set[str] = set()

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        if name not in self.added:
            self.added[name] = numpy_helper.from_array(value, name)
        return name

    def value(self, name: str) -> npt.NDArray[np.generic]:
        array: npt.NDArray[np.generic] = numpy_helper.to_array(self.constants[name])
        return array

    def is_unsigned(self, node: onnx.NodeProto) -> bool:
        """Whether a Quantize- or DequantizeLinear has a uint8 zero point."""
        return self.constants[node.input[2]].data_type == TensorProto.UINT8

    def signed_scale(self, node: onnx.NodeProto) -> list[str]:
        """Constants of the doubled scale and of the int8 zero point."""
        scale, zero = self.value(node.input[1]), self.value(node.input[2])
        if scale.size != 1 or int(zero.reshape(-1)[0]) != 0:
            raise EngineError(
                f"{node.name}: activations are quantized with a zero point of "
                f"{zero.reshape(-1)[0]} and {scale.size} scales; TensorRT takes one scale and 0"
            )
        doubled = np.asarray(scale, np.float32) * np.float32(STEP_RATIO)
        return [
            self.constant(node.input[1] + _SIGNED, doubled),
            self.constant("zero" + _SIGNED, np.array(0, np.int8)),
        ]

    def quantize(self, node: onnx.NodeProto) -> None:
        """Replace a uint8 QuantizeLinear; uint8 clips at 0, so a ReLU is added where none is."""
        source = node.input[0]
        maker = self.makers.get(source)
        if maker is None or maker.op_type != "Relu":
            source = self.add("Relu", [source], f"{node.output[0]}.relu")
        self.add("QuantizeLinear", [source, *self.signed_scale(node)], node.output[0])
        self.integers.add(node.output[0])

    def dequantize(self, node: onnx.NodeProto) -> None:
        """Replace a uint8 DequantizeLinear of integers inside, or of an input."""
        source, target = node.input[0], node.output[0]
        if source in self.integers:
            self.add("DequantizeLinear", [source, *self.signed_scale(node)], target)
            return
        if source not in self.border_inputs:
            raise EngineError(f"{node.name}: {source} is not quantized by this graph")
        real = self.add("Cast", [source], f"{target}{_REAL}", to=TensorProto.FLOAT)
        if not self._feeds_convolution(target):
            self.add("Mul", [real, node.input[1]], target)
            return
        scaled = self.add("Mul", [real, node.input[1]], f"{target}.scaled")
        pair = self.signed_scale(node)
        integers = self.add("QuantizeLinear", [scaled, *pair], f"{target}.q")
        self.add("DequantizeLinear", [integers, *pair], target)

    def _feeds_convolution(self, name: str) -> bool:
        for node in self.graph.node:
            if name in node.input:
                if node.op_type == "Conv":
                    return True
                if node.op_type in _MOVES and self._feeds_convolution(node.output[0]):
                    return True
        return False

    def move(self, node: onnx.NodeProto) -> None:
        """Keep a node that only moves values; a uint8 output is made of int8 at its end."""
        self.integers.update(node.output)
        output = node.output[0]
        if output not in self.border_outputs:
            self.nodes.append(node)
            return
        moved = onnx.NodeProto()
        moved.CopyFrom(node)
        moved.output[0] = moved.name = f"{output}{_SIGNED}"
        self.nodes.append(moved)
        step = self.constant("step" + _SIGNED, np.array(STEP_RATIO, np.float32))
        zero = self.constant("zero" + _SIGNED, np.array(0, np.int8))
        real = self.add("DequantizeLinear", [moved.output[0], step, zero], f"{output}{_REAL}")
        self.add("Cast", [real], output, to=TensorProto.UINT8)

    def rewrite(self) -> None:
        """Replace what TensorRT does not take; all else stays."""
        for node in self.graph.node:
            quantizes = node.op_type in ("QuantizeLinear", "DequantizeLinear")
            if quantizes and node.input[0] not in self.constants and self.is_unsigned(node):
                getattr(self, "quantize" if node.op_type[0] == "Q" else "dequantize")(node)
            elif node.op_type in _MOVES and node.input[0] in self.integers:
                self.move(node)
            else:
                self.nodes.append(node)


def _halve(rewriter: _Rewriter) -> None:
    """Give the large sums that are not quantized to FP16: table look-up and weighted sum.

    FP32 stays what a half would spoil: sampling positions, and with them GridSample, whose two
    inputs must have one type (a half moves a cell's centre by a tenth of a cell); fusion scores;
    biases, which int8 kernels add in FP32 at no cost; and the heads' outputs.
    """
    halves: set[str] = set()
    nodes, rewriter.nodes = rewriter.nodes, []
    for node in nodes:
        names = list(node.input)
        is_table = node.op_type in ("Gather", "Add") and all(
            name in halves or name.startswith(("codebook.", "indices")) for name in names
        )
        is_sum = node.op_type == "Mul" and names[0].endswith(".warped")
        is_total = node.op_type == "ReduceSum" and names[0] in halves
        if (is_table and not node.output[0].startswith("indices")) or is_sum or is_total:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [_half_input(rewriter, halves, name) for name in names]
            rewriter.nodes.append(copy)
            halves.update(node.output)
            continue
        for position, name in enumerate(names):
            if name in halves:
                full = rewriter.add("Cast", [name], f"{name}.full", to=TensorProto.FLOAT)
                node.input[position] = full
        rewriter.nodes.append(node)


def _half_input(rewriter: _Rewriter, halves: set[str], name: str) -> str:
    """Name of an input as FP16; integers (indices, axes) stay as they are."""
    if name in halves:
        return name
    if name in rewriter.constants:
        value = rewriter.value(name)
        if value.dtype != np.float32:
            return name
        return rewriter.constant(name + _HALF, value.astype(np.float16))
    if name.startswith("indices"):
        return name
    return rewriter.add("Cast", [name], name + _HALF, to=TensorProto.FLOAT16)


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether a model asks for INT8 anywhere."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def tensorrt_model(
    path: str | Path, half: bool = True, without_lookup: bool = False
) -> onnx.ModelProto:
    """Read an ONNX file of a bundle and rewrite it for TensorRT.

    Args:
        path: the file.
        half: FP16 for what a quantized model leaves unquantized and bears it; a model that is not
            quantized stays in FP32.
        without_lookup: see `behind_lookup`.

    Raises:
        EngineError: for a file that is no ONNX, or quantized in a way that TensorRT cannot compute.
    """
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf raises its own, unrelated classes
        raise EngineError(f"{path} cannot be read as ONNX: {error}") from error
    if without_lookup:
        model = behind_lookup(model)
    if not is_quantized(model):
        return model
    rewriter = _Rewriter(model)
    rewriter.rewrite()
    if half:
        _halve(rewriter)
    used = {name for node in rewriter.nodes for name in node.input}
    constants = [item for name, item in rewriter.constants.items() if name in used]
    constants += [item for name, item in rewriter.added.items() if name in used]
    graph = helper.make_graph(
        rewriter.nodes, model.graph.name, model.graph.input, model.graph.output, constants
    )
    rewritten = helper.make_model(graph, opset_imports=model.opset_import)
    rewritten.ir_version = model.ir_version
    onnx.checker.check_model(rewritten, full_check=True)
    return rewritten
