# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates and bytes of an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper


@dataclass(frozen=True)
class EngineCost:
    """What one run of an engine costs at least.

    Attributes:
        macs: multiply-accumulates of its convolutions, without the zeros of widened groups.
        computed_macs: the same with them.
        border_bytes: inputs, outputs and weights, each moved once.
        map_bytes: these and every convolution's output, written and read once.
    """

    macs: int
    computed_macs: int
    border_bytes: int
    map_bytes: int


def engine_cost(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> EngineCost:
    """Count an engine's cost from its ONNX file.

    Args:
        path: the file.
        shapes: of its inputs.
    """
    model = onnx.load(str(path))
    for value in model.graph.input:
        for axis, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            axis.Clear()
            axis.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    sizes = {
        value.name: (_shape(value), value.type.tensor_type.elem_type)
        for value in [*inferred.value_info, *inferred.input, *inferred.output]
    }
    constants = {item.name: item for item in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    macs = computed = maps = 0
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        shape, _ = sizes[node.output[0]]
        weight = constants.get(node.input[1]) or constants[makers[node.input[1]].input[0]]
        computed += math.prod(shape) * math.prod(weight.dims[1:])
        used = sum(1 for byte in weight.raw_data if byte) if weight.data_type == 3 else 0
        density = used / math.prod(weight.dims) if used else 1.0
        macs += round(math.prod(shape) * math.prod(weight.dims[1:]) * _group_density(density))
        quantized = weight.data_type == onnx.TensorProto.INT8
        maps += 2 * math.prod(shape) * (1 if quantized else 4)
    border = sum(
        math.prod(sizes[value.name][0]) * _width(sizes[value.name][1])
        for value in [*inferred.input, *inferred.output]
    )
    border += sum(math.prod(item.dims) * _width(item.data_type) for item in constants.values())
    return EngineCost(macs, computed, border, border + maps)


def _group_density(density: float) -> float:
    """Share of a weight that is not padding of widened groups: a power of two, or all."""
    return 2.0 ** round(math.log2(density)) if density < 0.6 else 1.0


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)


def _width(kind: int) -> int:
    return int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
