# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs calibration frames through a folded network and watches every tensor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.training.export.network_graphs import NetworkGraphs
from quantv2x_ros.training.quantization.histogram import Histogram
from quantv2x_ros.training.quantization.scales import QuantizationError
from quantv2x_ros.training.quantization.simulation import CalibrationFrame, run_frame

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """What calibration saw.

    Attributes:
        histograms: by tensor_name.
        decoded_low: (C,) least value of each channel of the decoded feature.
        decoded_high: (C,) greatest value.
        agents: agents of each frame.
    """

    histograms: dict[str, Histogram]
    decoded_low: Float32
    decoded_high: Float32
    agents: tuple[int, ...]


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

    def watch(name: str, value: torch.Tensor) -> None:
        histograms.setdefault(name, Histogram()).add(value.numpy())
        if name == "pyramid/decoded":
            np.minimum(low, value.amin((0, 2, 3)).numpy(), out=low)
            np.maximum(high, value.amax((0, 2, 3)).numpy(), out=high)

    for frame in frames:
        run_frame(network, frame, watch, bfloat16=bfloat16)
        agents.append(len(frame.clouds))
    if not histograms:
        raise QuantizationError("calibration: no frame was given; at least one is needed")
    return Calibration(histograms, low, high, tuple(agents))
