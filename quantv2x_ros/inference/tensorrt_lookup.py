# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pyramid for TensorRT without the table lookup that its ONNX file starts with."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from quantv2x_ros.inference.engine import DECODED, EngineError


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
