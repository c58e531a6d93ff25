# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Convolutions whose INT8 weights are wider than the processor multiplies exactly, in FP32.

Bundles of this version have none, see `core.weight_grid`; older ones have weights to ±127. In FP32
the rounding of the activations and the weights' values stay, so that such a layer gives what it was
evaluated with, and is slower.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from quantv2x_ros.core.weight_grid import BYTE_LIMIT
from quantv2x_ros.inference.cpu.processor import exact_weights, int8_kind

logger = logging.getLogger(__name__)

_KINDS = ("Convolution", "GroupConvolution")
_DEQUANTIZING = ("Reshape", "Multiply", "Subtract", "Convert")
#: Files that were warned of: an engine is made of the same file in several widths and parts.
_warned: set[Path] = set()


def _widest(convolution: Any) -> int | None:
    """Return the greatest magnitude of a convolution's INT8 weights; None where it has none."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() in _DEQUANTIZING:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.i8:
        return None
    return int(np.abs(np.array(node.data).astype(np.int16)).max(initial=0))


def _value(node: Any) -> npt.NDArray[np.float32]:
    """Compute what makes a weight of constants."""
    kind = node.get_type_name()
    if kind == "Constant":
        return np.array(node.data).astype(np.float32)
    value = _value(node.input_value(0).get_node())
    if kind == "Reshape":
        return value.reshape(node.get_output_shape(0))
    if kind == "Convert":
        return value
    other = _value(node.input_value(1).get_node())
    return value * other if kind == "Multiply" else value - other


def weights_by_layer(model: Any) -> dict[str, int]:
    """Return the greatest magnitude of each convolution's INT8 weights, by its name."""
    widest = {op.get_friendly_name(): _widest(op) for op in _convolutions(model)}
    return {name: value for name, value in widest.items() if value is not None}


def _convolutions(model: Any) -> list[Any]:
    return [op for op in model.get_ops() if op.get_type_name() in _KINDS]


def compute_wide_weights_in_fp32(model: Any, limit: int | None = None) -> tuple[str, ...]:
    """Let the convolutions with wider weights run in FP32, in place.

    Args:
        model: an ``openvino.Model``.
        limit: greatest magnitude that runs in INT8; None for what this processor multiplies
            exactly.

    Returns:
        Their names.
    """
    most = exact_weights() if limit is None else limit
    if most >= BYTE_LIMIT:
        return ()
    names = []
    for convolution in _convolutions(model):
        if (_widest(convolution) or 0) <= most:
            continue
        source = convolution.input_value(1).get_node()
        real = openvino.opset13.constant(np.ascontiguousarray(_value(source)))
        convolution.input(1).replace_source_output(real.output(0))
        names.append(convolution.get_friendly_name())
    return tuple(names)


def warn_of_wide_weights(path: Path, model: Any) -> None:
    """Log once a file how many of its layers run in FP32, why, and what to do.

    Args:
        path: the ONNX file.
        model: as it was read of it.
    """
    limit = exact_weights()
    if path in _warned or limit >= BYTE_LIMIT:
        return
    layers = weights_by_layer(model)
    wide = [name for name, widest in layers.items() if widest > limit]
    if not wide:
        return
    _warned.add(path)
    logger.warning(
        "%s: %d of %d INT8 layers run in FP32, and slower: their weights go beyond ±%d, which this "
        "processor (%s) does not multiply exactly; export the bundle anew with this version",
        path,
        len(wide),
        len(layers),
        limit,
        int8_kind(),
    )
