# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Grouped convolutions in the group width that this processor computes fastest.

Bundles have groups of 64 channels, most of whose weights are zeros that hold apart the narrower
groups of the network (docs/network.md, "Pyramid fusion"). AMX multiplies tiles of 64 and is fastest
so; everything before it multiplies the zeros in full, and is faster with 16. All give the same
bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from quantv2x_ros.inference.cpu.processor import has_amx

#: Channels that a group has at least, with AMX and without.
AMX_WIDTH, PLAIN_WIDTH = 64, 16


def group_width() -> int:
    """Channels a group that suit this processor."""
    return AMX_WIDTH if has_amx() else PLAIN_WIDTH


def narrow_weight(weight: npt.NDArray[Any], groups: int, width: int) -> npt.NDArray[Any] | None:
    """Split groups into narrower ones.

    Args:
        weight: (O, I / groups, k, k).
        groups: number of its groups.
        width: input channels of the narrower groups, a divisor of I / groups.

    Returns:
        (O, width, k, k); None where a weight between the narrower groups is not zero, or they do
        not fit.
    """
    out, wide = weight.shape[:2]
    if wide <= width or wide % width or out % (groups * (wide // width)):
        return None
    parts = wide // width
    blocks = weight.reshape(groups, parts, -1, parts, width, *weight.shape[2:])
    own = np.arange(parts)
    narrow = blocks[:, own, :, own]  # the part's axis comes first
    if np.count_nonzero(narrow) != np.count_nonzero(weight):
        return None
    narrow = np.moveaxis(narrow, 0, 1).reshape(out, width, *weight.shape[2:])
    return np.ascontiguousarray(narrow)


def narrow_groups(model: Any, width: int) -> None:
    """Narrow the grouped convolutions of an ``openvino.Model`` in place, where they can be.

    Args:
        model: as read from a bundle's ONNX file.
        width: channels a group.
    """
    for operation in model.get_ops():
        if operation.get_type_name() != "GroupConvolution":
            continue
        shaped = operation.input_value(1).get_node()
        constant = _constant_behind(shaped)
        if constant is None:
            continue
        groups = int(shaped.get_output_shape(0)[0])
        weight = narrow_weight(np.array(constant.data), groups, width)
        if weight is None:
            continue
        narrowed = openvino.opset13.constant(weight, name=constant.get_friendly_name())
        for reader in constant.output(0).get_target_inputs():
            reader.replace_source_output(narrowed.output(0))
        more = groups * constant.get_output_shape(0)[1] // width
        shape = np.array([more, len(weight) // more, *weight.shape[1:]], np.int64)
        target = openvino.opset13.constant(shape)
        shaped.input(1).replace_source_output(target.output(0))
    model.validate_nodes_and_infer_types()


def _constant_behind(node: Any) -> Any:
    """Return the constant that a convolution's weight is made of; None where it is not."""
    if node.get_type_name() != "Reshape":
        return None
    while node.get_type_name() in ("Reshape", "Multiply", "Subtract", "Convert"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None
