# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scales of quantized tensors and weights, and how values are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.weight_grid import ACTIVATION_LIMIT, WEIGHT_LIMITS
from quantv2x_ros.training.graphs.graph import Convolution

Float32 = npt.NDArray[np.float32]

#: Activations are unsigned without zero point, shortcut projections (both signs) signed.
UNSIGNED_MAX = ACTIVATION_LIMIT
#: Exponent of the error that a scale of activations minimises. A detector's large activations are
#: rare (an object covers a few of 35,000 cells) and matter most: more than the square protects them
#: from being clipped for the sake of the background's resolution.
NORMS = {"mse": 2.0, "l3": 3.0, "l4": 4.0}
METHODS = (*NORMS, "kl", "minmax")
#: Clipping ratios that the search tries; few steps are worth more clipping.
CLIP_RATIOS = np.linspace(0.3, 1.0, 71)
NARROW_CLIP_RATIOS = np.linspace(0.02, 1.0, 99)
BITS = (4, 8)


class QuantizationError(ValueError):
    """Settings or data that a network cannot be quantized with."""


@dataclass(frozen=True)
class TensorScale:
    """How a tensor is quantized.

    Attributes:
        scale: value of one step.
        signed: both signs instead of none below 0; no zero point in either case.
        bits: 8 or 4; 4 bits are stored in 8.
    """

    scale: float
    signed: bool = False
    bits: int = 8

    def __post_init__(self) -> None:
        """Raise QuantizationError for a scale that is not a positive number, or other bits."""
        if not 0 < self.scale < np.inf:
            raise QuantizationError(
                f"scale of a tensor: got {self.scale}, expected a positive number"
            )
        if self.bits not in BITS:
            raise QuantizationError(f"bits of a tensor: got {self.bits}, allowed are {BITS}")

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest number."""
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


TensorScales = Mapping[str, TensorScale]


def weight_limit(bits: int) -> int:
    """Greatest magnitude of a symmetric weight, see `core.weight_grid`.

    Raises:
        QuantizationError: for bits other than 4 and 8.
    """
    if bits not in BITS:
        raise QuantizationError(f"bits of weights: got {bits}, allowed are {BITS}")
    return WEIGHT_LIMITS[bits]


@dataclass(frozen=True)
class QuantizedWeight:
    """Symmetric weights, one scale an output channel.

    Attributes:
        values: (O, I / groups, k, k) int8, from -limit to limit.
        scales: (O,) float32.
        bits: 8 or 4; 4 bits are stored in 8.
    """

    values: npt.NDArray[np.int8]
    scales: Float32
    bits: int = 8

    def __post_init__(self) -> None:
        """Raise QuantizationError for values off the grid or another number of scales."""
        limit = weight_limit(self.bits)
        if np.abs(self.values.astype(np.int16)).max(initial=0) > limit:
            raise QuantizationError(f"weights of {self.bits} bits: values beyond {limit}")
        if self.scales.shape != self.values.shape[:1]:
            raise QuantizationError(
                f"weights {self.values.shape}: got scales {self.scales.shape}, expected one an "
                "output channel"
            )

    def dequantized(self) -> Float32:
        """The weights that the engine computes with, float32."""
        weight: Float32 = self.values.astype(np.float32) * self.scales[:, None, None, None]
        return weight


@njit(cache=True)
def _least_square_scales(  # type: ignore[no-untyped-def]
    rows, peaks, ratios, limit
):
    """Scale of each row (O, K) that makes its squared rounding error least, (O,)."""
    scales = np.empty(len(rows))
    for row in range(len(rows)):
        least = np.inf
        for ratio in ratios:
            scale = peaks[row] * ratio / limit
            error = 0.0
            for value in rows[row]:
                rounded = min(max(np.rint(value / scale), -limit), limit) * scale
                error += (rounded - value) ** 2
            if error < least:
                least = error
                scales[row] = scale
    return scales


def quantize_weight(
    convolution: Convolution, *, method: str = "mse", bits: int = 8
) -> QuantizedWeight:
    """Round a convolution's weights to the nearest integers.

    Args:
        convolution: with folded weights.
        method: "minmax" keeps the largest weight of each channel, "mse" clips where that makes the
            squared error smaller.
        bits: 8 or 4.

    Raises:
        QuantizationError: for another method or other bits.
    """
    limit = weight_limit(bits)
    flat = convolution.weight.reshape(len(convolution.weight), -1).astype(np.float64)
    peak = np.maximum(np.abs(flat).max(axis=1), 1e-12)
    if method == "minmax":
        best = peak / limit
    elif method == "mse":
        best = _least_square_scales(flat, peak, CLIP_RATIOS, limit)
    else:
        raise QuantizationError(f"weight scales: method '{method}', allowed are mse and minmax")
    scales = best.astype(np.float32)
    values = np.clip(np.rint(flat / scales[:, None].astype(np.float64)), -limit, limit)
    return QuantizedWeight(values.astype(np.int8).reshape(convolution.weight.shape), scales, bits)
