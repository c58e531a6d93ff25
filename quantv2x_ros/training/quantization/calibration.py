# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs calibration frames through a folded network and watches every tensor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.scales import (
    CLIP_RATIOS,
    METHODS,
    NARROW_CLIP_RATIOS,
    NORMS,
    QuantizationError,
    TensorScale,
)
from quantv2x_ros.training.quantization.health import ReluInputs
from quantv2x_ros.training.quantization.simulation import CalibrationFrame, run_frame

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating]


@njit(cache=True)
def _count_magnitudes(  # type: ignore[no-untyped-def]
    values, bins_per_unit, counts
):
    """Add values (P,) to the counts of their magnitudes' bins; the last bin takes its border."""
    for value in values:
        counts[min(int(abs(value) * bins_per_unit), len(counts) - 1)] += 1


@njit(cache=True)
def _extent(values):  # type: ignore[no-untyped-def]
    """Least and greatest of values (P,) and 0; NaN counts as infinite."""
    low = high = np.float32(0.0)
    for value in values:
        if not np.isfinite(value):
            return np.float32(-np.inf), np.float32(np.inf)
        low = min(low, value)
        high = max(high, value)
    return low, high


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
            QuantizationError: for values that are not finite.
        """
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        low, high = _extent(flat)
        highest = float(max(-low, high))
        if not np.isfinite(highest):
            raise QuantizationError(
                "calibration: activations that are not finite; the weights are broken"
            )
        self.signed = self.signed or bool(low < 0)
        if highest == 0.0:
            self.counts[0] += flat.size
            return
        if self.range == 0.0:
            self.range = highest
        while self.range < highest:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(self.BINS // 2, dtype=np.int64)])
            self.range *= 2
        self.maximum = max(self.maximum, highest)
        _count_magnitudes(flat, np.float32(self.BINS / self.range), self.counts)

    def scale(self, method: str = "mse", bits: int = 8) -> TensorScale:
        """Compute the scale.

        Args:
            method: "minmax" keeps the largest value; "mse", "l3" and "l4" clip where that makes the
                sum of errors to the power of 2, 3 or 4 smaller; "kl" clips where that makes the
                divergence of the rounded distribution smaller.
            bits: 8 or 4.

        Raises:
            QuantizationError: for another method, or where nothing but zeros was seen.
        """
        if self.maximum == 0.0:
            raise QuantizationError(
                "calibration: a tensor was 0 throughout; calibrate with real sweeps"
            )
        if method not in METHODS:
            raise QuantizationError(
                f"activation scales: method '{method}', allowed are {', '.join(METHODS)}"
            )
        steps = TensorScale(1.0, self.signed, bits).limits[1]
        if method == "minmax":
            return TensorScale(self.maximum / steps, self.signed, bits)
        candidates = self.maximum * (CLIP_RATIOS if bits == 8 else NARROW_CLIP_RATIOS) / steps
        centres = (np.arange(self.BINS) + 0.5) * (self.range / self.BINS)
        # the first bin is mostly exact zeros, which any scale represents
        weights = np.where(np.arange(self.BINS) == 0, 0.0, self.counts.astype(np.float64))
        if method == "kl":
            losses = [_divergence(centres, weights, scale, steps) for scale in candidates]
        else:
            losses = [
                _clipping_loss(centres, weights, scale, steps, NORMS[method])
                for scale in candidates
            ]
        return TensorScale(float(candidates[int(np.argmin(losses))]), self.signed, bits)


def _clipping_loss(
    centres: Floats, weights: Floats, scale: float, steps: int, norm: float
) -> float:
    """Sum of the rounding and clipping errors to a power."""
    error = np.abs(np.clip(np.rint(centres / scale), 0, steps) * scale - centres)
    return float((weights * error**norm).sum())


def _divergence(centres: Floats, weights: Floats, scale: float, steps: int) -> float:
    """Kullback-Leibler divergence of a distribution from what rounding leaves of it.

    As in entropy calibration: what is clipped joins the last bin that is kept; rounding spreads
    the mass of a step evenly over the bins of that step that hold anything.
    """
    kept = int(np.count_nonzero(centres <= scale * steps))
    true = weights[:kept].copy()
    step = np.rint(centres[:kept] / scale).astype(np.int64)
    mass = np.bincount(step, weights=true)
    share = np.maximum(np.bincount(step, weights=true > 0), 1)
    rounded = np.where(true > 0, (mass / share)[step], 0.0)
    true[-1] += weights[kept:].sum()
    true /= max(true.sum(), 1e-12)
    rounded /= max(rounded.sum(), 1e-12)
    held = true > 0
    # mass where rounding leaves none would be infinitely bad; a small constant orders such cases
    return float((true[held] * np.log(true[held] / np.maximum(rounded[held], 1e-9))).sum())


@dataclass(frozen=True)
class Calibration:
    """What calibration saw.

    Attributes:
        histograms: by tensor_name.
        decoded_low: (C,) least value of each channel of the decoded feature.
        decoded_high: (C,) greatest value.
        agents: agents of each frame.
        relu_inputs: what went into each ReLU.
    """

    histograms: dict[str, Histogram]
    decoded_low: Float32
    decoded_high: Float32
    agents: tuple[int, ...]
    relu_inputs: ReluInputs


def calibrate(
    network: NetworkGraphs, frames: Iterable[CalibrationFrame], bfloat16: bool = False
) -> Calibration:
    """Run frames in full precision and collect the distribution of every tensor.

    Args:
        network: in full precision.
        frames: with real numbers of agents.
        bfloat16: convolutions in bfloat16, see GraphExecutor.

    Raises:
        QuantizationError: for no frame at all.
    """
    channels = network.codebook.channels
    histograms: dict[str, Histogram] = {}
    low = np.full(channels, np.inf, dtype=np.float32)
    high = np.full(channels, -np.inf, dtype=np.float32)
    agents = []
    relu_inputs = ReluInputs()

    def watch(name: str, value: torch.Tensor) -> None:
        histograms.setdefault(name, Histogram()).add(value.numpy())
        if name == "pyramid/decoded":
            np.minimum(low, value.amin((0, 2, 3)).numpy(), out=low)
            np.maximum(high, value.amax((0, 2, 3)).numpy(), out=high)

    for frame in frames:
        run_frame(network, frame, watch, bfloat16=bfloat16, before=relu_inputs.watch)
        relu_inputs.frames += 1
        agents.append(len(frame.clouds))
    if not histograms:
        raise QuantizationError("calibration: no frame was given; at least one is needed")
    return Calibration(histograms, low, high, tuple(agents), relu_inputs)
