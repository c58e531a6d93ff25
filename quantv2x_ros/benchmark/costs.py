# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates and bytes of an engine's ONNX file, read by OpenVINO."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino

_CONVOLUTIONS = ("Convolution", "GroupConvolution")


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
    model = openvino.Core().read_model(str(path))
    model.reshape({name: list(shape) for name, shape in shapes.items()})
    operations = model.get_ordered_ops()
    macs = computed = maps = 0
    for operation in operations:
        if operation.get_type_name() not in _CONVOLUTIONS:
            continue
        weight = _weight(operation)
        quantized = weight.dtype == np.int8
        outputs = math.prod(operation.output(0).shape)
        products = outputs * math.prod(weight.shape[-3:])  # inputs of a group, rows, columns
        computed += products
        used = np.count_nonzero(weight) if quantized else 0
        macs += round(products * _group_density(used / weight.size if used else 1.0))
        maps += 2 * outputs * (1 if quantized else 4)
    ports = [*model.inputs, *model.outputs]
    border = sum(math.prod(port.shape) * port.get_element_type().size for port in ports)
    border += sum(o.data.nbytes for o in operations if o.get_type_name() == "Constant")
    return EngineCost(macs, computed, border, border + maps)


def _weight(convolution: Any) -> Any:
    """The stored weight of a convolution, as it is before it is brought to floating point."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node.data


def _group_density(density: float) -> float:
    """Share of a weight that is not padding of widened groups: a power of two, or all."""
    return 2.0 ** round(math.log2(density)) if density < 0.6 else 1.0
