# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines of a bundle as ONNX models: encoder, pyramid, head, and fuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from quantv2x_ros.training.graphs.graph import TensorSpec
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.onnx_writer import GraphBuilder, graph_model
from quantv2x_ros.training.graphs.scales import TensorScales

_TO_NCHW = [0, 3, 1, 2]


def _builder(network: NetworkGraphs, graph: str) -> GraphBuilder:
    return GraphBuilder(network.graph_scales(graph), network.graph_weights(graph))


def encoder_model(network: NetworkGraphs) -> onnx.ModelProto:
    """``pillars_nhwc`` (1, rows, columns, 64) to ``feature_nhwc`` (1, H, W, 64)."""
    return graph_model(network.graphs["encoder"], _builder(network, "encoder"))


def head_model(network: NetworkGraphs) -> onnx.ModelProto:
    """``fused0..2_nhwc`` to ``cls_nhwc``, ``reg_nhwc``, ``dir_nhwc`` (1, H, W, channels)."""
    return graph_model(network.graphs["head"], _builder(network, "head"))


def _decode(builder: GraphBuilder, network: NetworkGraphs) -> None:
    """Append the table lookup: ``indices`` to the tensor ``decoded``, NCHW."""
    codebook = network.codebook
    tables = codebook.tables.reshape(codebook.planes, codebook.dict_size, codebook.channels)
    cast = builder.add("Cast", ["indices"], "indices.int32", to=TensorProto.INT32)
    value = builder.constant("codebook.bias", codebook.bias + network.offset)
    for plane, table in enumerate(tables):
        rows = builder.constant(f"codebook.table{plane}", table)
        number = builder.constant(f"codebook.plane{plane}", np.array(plane, np.int64))
        codes = builder.add("Gather", [cast, number], f"indices.plane{plane}", axis=1)
        words = builder.add("Gather", [rows, codes], f"codebook.words{plane}", axis=0)
        value = builder.add("Add", [value, words], f"codebook.sum{plane}")
    if "decoded" in builder.scales:
        scale = builder.scales["decoded"]
        value = builder.dequantize(builder.quantize(value, "decoded", scale), "decoded.nhwc", scale)
    builder.add("Transpose", [value], "decoded", perm=_TO_NCHW)


def pyramid_model(network: NetworkGraphs) -> onnx.ModelProto:
    """``indices`` (1, planes, H, W) uint8 to ``level0..2_nhwc`` and ``score0..2_nhwc``."""
    graph = network.graphs["pyramid"]
    builder = _builder(network, "pyramid")
    _decode(builder, network)
    builder.body(graph)
    outputs = [builder.output_nhwc(spec) for spec in graph.outputs]
    shape: list[str | int | None] = [1, network.codebook.planes, "height_1", "width_1"]
    indices = helper.make_tensor_value_info("indices", TensorProto.UINT8, shape)
    return builder.model("pyramid", [indices], outputs)


def fuse_model(network: NetworkGraphs) -> onnx.ModelProto:
    """Levels, scores and thetas of N agents to the heads' outputs, for the network's grid.

    Inputs: ``level0..2_nhwc`` (N, h, w, C), ``score0..2_nhwc`` (N, h, w, 1), both as the pyramid
    gives them, and ``theta`` (N, 2, 3) float32; N is free. Sampling positions are computed in
    float32 here, which moves them by up to 1e-4 of a cell against core.fusion.
    """
    head = network.graphs["head"]
    builder = _builder(network, "head")
    levels = network.graph_scales("pyramid")
    inputs = []
    for level, spec in enumerate(head.inputs):
        height, width = (size // spec.reduction for size in network.grid.shape)
        inputs += _fuse_inputs(builder, level, replace(spec, name=f"level{level}"), levels)
        grid = _sampling_grid(builder, level, height, width)
        warped = _sample(builder, f"level{level}", grid)
        score = _sample(builder, f"score{level}", grid)
        fused = _weighted_sum(builder, level, warped, score)
        builder.finish(spec.name, fused, spec.name)
    inputs.append(helper.make_tensor_value_info("theta", TensorProto.FLOAT, ["agents", 2, 3]))
    builder.body(head)
    outputs = [builder.output_nhwc(spec) for spec in head.outputs]
    return builder.model("fuse", inputs, outputs)


def _fuse_inputs(
    builder: GraphBuilder, level: int, spec: TensorSpec, scales: TensorScales
) -> list[onnx.ValueInfoProto]:
    """Append a level's two inputs with N agents, in real values, NCHW."""
    own = GraphBuilder(
        {spec.name: scales[spec.name]} if spec.name in scales else {},
        {},
        builder.nodes,
        builder.initializers,
    )
    score = TensorSpec(f"score{level}", 1, spec.reduction)
    return [own.input_nhwc(spec, "agents"), own.input_nhwc(score, "agents")]


def _sampling_grid(builder: GraphBuilder, level: int, height: int, width: int) -> str:
    """Append theta @ (x, y, 1) of every cell; returns (N, h, w, 2)."""
    y = (2.0 * np.arange(height) + 1.0) / height - 1.0
    x = (2.0 * np.arange(width) + 1.0) / width - 1.0
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    cells = np.stack([grid_x, grid_y, np.ones_like(grid_x)]).reshape(3, -1).astype(np.float32)
    name = f"warp{level}"
    base = builder.constant(f"{name}.cells", cells)
    moved = builder.add("MatMul", ["theta", base], f"{name}.moved")
    turned = builder.add("Transpose", [moved], f"{name}.turned", perm=[0, 2, 1])
    shape = builder.constant(f"{name}.shape", np.array([-1, height, width, 2], np.int64))
    return builder.add("Reshape", [turned, shape], f"{name}.grid")


def _sample(builder: GraphBuilder, tensor: str, grid: str) -> str:
    return builder.add(
        "GridSample",
        [tensor, grid],
        f"{tensor}.warped",
        mode="bilinear",
        padding_mode="zeros",
        align_corners=0,
    )


def _weighted_sum(builder: GraphBuilder, level: int, warped: str, score: str) -> str:
    """Append the sum over agents, weighted by softmax of the scores that are not exactly 0."""
    name = f"fusion{level}"
    zero = builder.constant(f"{name}.zero", np.array(0.0, np.float32))
    least = builder.constant(f"{name}.least", np.array(1e-12, np.float32))
    axes = builder.constant(f"{name}.axes", np.array([0], np.int64))
    reached = builder.add("Greater", [score, zero], f"{name}.reached")
    peak = builder.add("ReduceMax", [score], f"{name}.peak", axes=[0], keepdims=1)
    below = builder.add("Sub", [score, peak], f"{name}.below")
    risen = builder.add("Exp", [below], f"{name}.exp")
    weight = builder.add("Where", [reached, risen, zero], f"{name}.weight")
    total = builder.add("ReduceSum", [weight, axes], f"{name}.total", keepdims=1)
    divisor = builder.add("Max", [total, least], f"{name}.divisor")
    share = builder.add("Div", [weight, divisor], f"{name}.share")
    part = builder.add("Mul", [warped, share], f"{name}.part")
    return builder.add("ReduceSum", [part, axes], f"{name}.fused", keepdims=1)
