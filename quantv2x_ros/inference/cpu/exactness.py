# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures whether this processor multiplies INT8 exactly, through OpenVINO itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from quantv2x_ros.core.weight_grid import ACTIVATION_LIMIT

#: Channels in and out, and cells along each side of the map.
CHANNELS, CELLS = 64, 8


def share_of_wrong_sums(weights: int) -> float:
    """Return the share of a 1x1 convolution's outputs that differ from integer arithmetic.

    Activations are drawn from the upper half up to 255, and most weights are positive, so that
    pairs of products come to what 16 bits do not hold.

    Args:
        weights: greatest magnitude of the weights, 1 to 127.

    Raises:
        RuntimeError: where OpenVINO does not run.
    """
    rng = np.random.default_rng(0)
    values = rng.integers(128, ACTIVATION_LIMIT + 1, (1, CHANNELS, CELLS, CELLS))
    kernel = rng.integers(-weights, weights + 1, (CHANNELS, CHANNELS, 1, 1))
    kernel = np.where(rng.random(kernel.shape) < 0.7, np.abs(kernel), kernel)
    expected = np.einsum("oi,niyx->noyx", kernel[:, :, 0, 0], values)
    return float((_convolved(values, kernel) != expected).mean())


def _convolved(values: npt.NDArray[np.int64], kernel: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Run a convolution of integers on OpenVINO's INT8 kernels."""
    operations = openvino.opset13
    source = operations.parameter(list(values.shape), np.float32)
    low, high, byte = np.float32(0), np.float32(ACTIVATION_LIMIT), np.float32(127)
    activations = operations.fake_quantize(source, low, high, low, high, ACTIVATION_LIMIT + 1)
    stored = operations.constant(kernel.astype(np.float32))
    weights = operations.fake_quantize(stored, -byte, byte, -byte, byte, 255)
    product = operations.convolution(activations, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([operations.result(product)], [source], "exactness")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(values.astype(np.float32))[0])
