# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs calibration frames through a folded network and watches every tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.pillar_net import PillarNet
from quantv2x_ros.core.pose import warp_theta
from quantv2x_ros.training.export.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.pyramid import fuse_frame
from quantv2x_ros.training.quantization.executor import Observer
from quantv2x_ros.training.quantization.scales import Histogram

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationFrame:
    """One frame with as many agents as there really were.

    Attributes:
        clouds: (P, 4) float32 a agent, each in its own LiDAR frame, the ego first.
        ego_to_agent: (N, 4, 4) float64, the identity first.
    """

    clouds: Sequence[Float32]
    ego_to_agent: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        """Raise ValueError where clouds and transforms do not fit each other."""
        shape = np.shape(self.ego_to_agent)
        if not self.clouds or shape != (len(self.clouds), 4, 4):
            raise ValueError(
                f"calibration frame: {len(self.clouds)} clouds and transforms of shape {shape}, "
                "expected at least one cloud and (N, 4, 4)"
            )


def run_frame(
    network: NetworkGraphs,
    frame: CalibrationFrame,
    observe: Callable[[str, torch.Tensor], None] | None = None,
    dtype: torch.dtype = torch.float32,
) -> dict[str, torch.Tensor]:
    """Run one frame through all graphs, with codes and fusion between them.

    Args:
        network: in either precision.
        frame: the frame.
        observe: called with tensor_name and value of every tensor of every graph.
        dtype: arithmetic, see GraphExecutor.

    Returns:
        ``codes`` (N, planes, H, W) uint8, ``cls``, ``reg``, ``dir`` (1, C, H, W).
    """

    def observer(graph: str) -> Observer | None:
        return None if observe is None else lambda name, v: observe(tensor_name(graph, name), v)

    encode, extract, detect = (
        network.executor(name, dtype) for name in ("encoder", "pyramid", "head")
    )
    pillar_net = PillarNet(network.pillars, network.grid)
    codes, levels, scores = [], [], []
    for cloud in frame.clouds:
        pillars = torch.from_numpy(pillar_net(cloud).features.copy()).permute(2, 0, 1)[None]
        feature = encode({"pillars": pillars}, observer("encoder"))["feature"][0].permute(1, 2, 0)
        code = network.codebook.encode_map(feature.float().contiguous().numpy())
        decoded = network.codebook.decode_map(code) + network.offset
        pyramid = extract(
            {"decoded": torch.from_numpy(decoded).permute(2, 0, 1)[None]}, observer("pyramid")
        )
        codes.append(torch.from_numpy(code))
        levels.append([pyramid[f"level{i}"] for i in range(3)])
        scores.append([pyramid[f"score{i}"] for i in range(3)])
    thetas = torch.from_numpy(np.stack([warp_theta(m, network.grid) for m in frame.ego_to_agent]))
    fused = {
        f"fused{i}": fuse_frame(
            torch.cat([level[i] for level in levels]),
            torch.cat([score[i] for score in scores]),
            thetas,
        )
        for i in range(3)
    }
    out = detect(fused, observer("head"))
    return {"codes": torch.stack(codes), **{name: out[name] for name in ("cls", "reg", "dir")}}


@dataclass(frozen=True)
class Calibration:
    """What calibration saw.

    Attributes:
        histograms: by tensor_name.
        decoded_low: (C,) least value of each channel of the decoded feature.
        decoded_high: (C,) greatest value.
    """

    histograms: dict[str, Histogram]
    decoded_low: Float32
    decoded_high: Float32


def calibrate(network: NetworkGraphs, frames: Iterable[CalibrationFrame]) -> Calibration:
    """Run frames in full precision and collect the distribution of every tensor.

    Raises:
        ValueError: for no frame at all.
    """
    channels = network.codebook.channels
    histograms: dict[str, Histogram] = {}
    low = np.full(channels, np.inf, dtype=np.float32)
    high = np.full(channels, -np.inf, dtype=np.float32)

    def observe(name: str, value: torch.Tensor) -> None:
        histograms.setdefault(name, Histogram()).add(value.numpy())
        if name == "pyramid/decoded":
            np.minimum(low, value.amin((0, 2, 3)).numpy(), out=low)
            np.maximum(high, value.amax((0, 2, 3)).numpy(), out=high)

    for frame in frames:
        run_frame(network, frame, observe)
    if not histograms:
        raise ValueError("calibration: no frame was given; at least one is needed")
    return Calibration(histograms, low, high)
