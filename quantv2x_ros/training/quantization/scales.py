# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of the INT8 variant: scales of tensors and weights, and how values are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from quantv2x_ros.training.export.graph import Convolution

Float32 = npt.NDArray[np.float32]

#: Activations are unsigned without zero point, shortcut projections (both signs) signed.
UNSIGNED_MAX = 255
SIGNED_MAX = 127
#: Exponent of the error that a scale of activations minimises. A detector's large activations are
#: rare (an object covers a few of 35,000 cells) and matter most: more than the square protects them
#: from being clipped for the sake of the background's resolution.
NORMS = {"mse": 2.0, "l3": 3.0, "l4": 4.0}
METHODS = (*NORMS, "minmax")
#: Clipping ratios that the search tries.
CLIP_RATIOS = np.linspace(0.3, 1.0, 71)


@dataclass(frozen=True)
class TensorScale:
    """How a tensor is quantized.

    Attributes:
        scale: value of one step.
        signed: int8 instead of uint8; no zero point in either case.
    """

    scale: float
    signed: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a scale that is not a positive number."""
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale of a tensor: got {self.scale}, expected a positive number")

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest number."""
        return (-SIGNED_MAX - 1, SIGNED_MAX) if self.signed else (0, UNSIGNED_MAX)


TensorScales = Mapping[str, TensorScale]


@dataclass(frozen=True)
class QuantizedWeight:
    """Symmetric int8 weights, one scale an output channel.

    Attributes:
        values: (O, I / groups, k, k) int8.
        scales: (O,) float32.
    """

    values: npt.NDArray[np.int8]
    scales: Float32

    def dequantized(self) -> Float32:
        """The weights that the engine computes with, float32."""
        weight: Float32 = self.values.astype(np.float32) * self.scales[:, None, None, None]
        return weight


@numba.njit(cache=True)
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
    convolution: Convolution, *, method: str = "mse", limit: int = SIGNED_MAX
) -> QuantizedWeight:
    """Round a convolution's weights to int8.

    Args:
        convolution: with folded weights.
        method: "minmax" keeps the largest weight of each channel, "mse" clips where that makes the
            squared error smaller.
        limit: greatest magnitude; 7 gives the 4-bit grid.

    Raises:
        ValueError: for another method.
    """
    flat = convolution.weight.reshape(len(convolution.weight), -1).astype(np.float64)
    peak = np.maximum(np.abs(flat).max(axis=1), 1e-12)
    if method == "minmax":
        best = peak / limit
    elif method == "mse":
        best = _least_square_scales(flat, peak, CLIP_RATIOS, limit)
    else:
        raise ValueError(f"weight scales: method '{method}', allowed are mse and minmax")
    scales = best.astype(np.float32)
    values = np.clip(np.rint(flat / scales[:, None].astype(np.float64)), -limit, limit)
    return QuantizedWeight(values.astype(np.int8).reshape(convolution.weight.shape), scales)


@numba.njit(cache=True)
def _count_magnitudes(  # type: ignore[no-untyped-def]
    values, bins_per_unit, counts
):
    """Add values (P,) to the counts of their magnitudes' bins; the last bin takes its border."""
    for value in values:
        counts[min(int(abs(value) * bins_per_unit), len(counts) - 1)] += 1


class Histogram:
    """Distribution of a tensor's magnitudes over any number of batches.

    The range doubles (merging neighbouring bins) whenever a larger value arrives, so one pass over
    the data is enough.
    """

    BINS = 4096

    def __init__(self) -> None:
        self.counts = np.zeros(self.BINS, dtype=np.int64)
        self.range = 0.0
        self.maximum = 0.0
        self.signed = False

    def add(self, values: Float32) -> None:
        """Count the magnitudes of an array of any shape.

        Raises:
            ValueError: for values that are not finite.
        """
        highest = float(np.abs(values).max(initial=0.0))
        if not np.isfinite(highest):
            raise ValueError("calibration: activations that are not finite; the weights are broken")
        self.signed = self.signed or bool((values < 0).any())
        if highest == 0.0:
            self.counts[0] += values.size
            return
        if self.range == 0.0:
            self.range = highest
        while self.range < highest:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(self.BINS // 2, dtype=np.int64)])
            self.range *= 2
        self.maximum = max(self.maximum, highest)
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        _count_magnitudes(flat, np.float32(self.BINS / self.range), self.counts)

    def scale(self, method: str = "mse") -> TensorScale:
        """Choose the scale.

        Args:
            method: "minmax" keeps the largest value; "mse", "l3" and "l4" clip where that makes the
                sum of errors to the power of 2, 3 or 4 smaller.

        Raises:
            ValueError: for another method, or where nothing but zeros was seen.
        """
        if self.maximum == 0.0:
            raise ValueError("calibration: a tensor was 0 throughout; calibrate with real sweeps")
        steps = SIGNED_MAX if self.signed else UNSIGNED_MAX
        if method == "minmax":
            return TensorScale(self.maximum / steps, self.signed)
        if method not in NORMS:
            raise ValueError(f"activation scales: method '{method}', allowed are {METHODS}")
        centres = (np.arange(self.BINS) + 0.5) * (self.range / self.BINS)
        # the first bin is mostly exact zeros, which any scale represents
        weights = np.where(np.arange(self.BINS) == 0, 0, self.counts)
        candidates = self.maximum * CLIP_RATIOS / steps
        errors = []
        for scale in candidates:
            error = np.abs(np.clip(np.rint(centres / scale), 0, steps) * scale - centres)
            errors.append((weights * error ** NORMS[method]).sum())
        return TensorScale(float(candidates[int(np.argmin(errors))]), self.signed)
