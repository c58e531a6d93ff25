# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole deployed pipeline in torch, in full precision or with the engines' arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.core.pillars.pillar_net import PillarNet
from quantv2x_ros.inference.protocol import Cloud, IndexArray
from quantv2x_ros.training.graphs.executor import Observer
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.pyramid import SCALES, PyramidMaps, fuse_agents

Watch = Callable[[str, torch.Tensor], None]


@dataclass(frozen=True)
class CalibrationFrame:
    """One frame with as many agents as there really were.

    Attributes:
        clouds: (P, 4) float32 a agent, each in its own LiDAR frame, the ego first.
        ego_to_agent: (N, 4, 4) float64, the identity first.
        objects: (G, 2) x and y of known objects in the ego's frame, metres; none by default.
    """

    clouds: Sequence[Cloud]
    ego_to_agent: npt.NDArray[np.float64]
    objects: npt.NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        """Raise ValueError where clouds and transforms do not fit each other."""
        shape = np.shape(self.ego_to_agent)
        if not self.clouds or shape != (len(self.clouds), 4, 4):
            raise ValueError(
                f"calibration frame: {len(self.clouds)} clouds and transforms of shape {shape}, "
                "expected at least one cloud and (N, 4, 4)"
            )


class SimulatedNetwork:
    """All graphs of a network, and the codebook between them; a `DetectorNetwork`.

    Args:
        network: in any precision.
        watch: called with tensor_name and value of every tensor of every graph.
        dtype: arithmetic, see GraphExecutor.
        bfloat16: convolutions in bfloat16, see GraphExecutor.
        before: called as `watch`, with what goes into each ReLU, see GraphExecutor.
    """

    def __init__(
        self,
        network: NetworkGraphs,
        watch: Watch | None = None,
        dtype: torch.dtype = torch.float32,
        bfloat16: bool = False,
        before: Watch | None = None,
    ) -> None:
        self.network = network
        self._watch, self._before = watch, before
        self._encode, self._extract, self._detect = (
            network.executor(name, dtype, bfloat16) for name in ("encoder", "pyramid", "head")
        )
        self._pillars = PillarNet(network.pillars, network.grid)

    @property
    def precision(self) -> str:
        """See NetworkGraphs."""
        return self.network.precision

    @property
    def coded_ego(self) -> bool:
        """See NetworkConfig."""
        return self.network.coded_ego

    def _observers(self, graph: str) -> tuple[Observer | None, Observer | None]:
        """Watch and before, for one graph."""

        def named(watch: Watch | None) -> Observer | None:
            return None if watch is None else lambda name, v: watch(tensor_name(graph, name), v)

        return named(self._watch), named(self._before)

    def encode(self, points: Cloud) -> torch.Tensor:
        """Compute the BEV feature (1, C, H, W) of a sweep (P, 4)."""
        pillars = torch.from_numpy(self._pillars(points).features.copy()).permute(2, 0, 1)[None]
        values = self._encode({"pillars": pillars}, *self._observers("encoder"))
        cells = values["feature"][0].permute(1, 2, 0).float().contiguous()
        return cells.permute(2, 0, 1)[None]

    def quantize(self, feature: torch.Tensor) -> IndexArray:
        """Find the codebook indices (planes, H, W) of a feature (1, C, H, W)."""
        cells = np.ascontiguousarray(feature[0].permute(1, 2, 0).numpy())
        return self.network.codebook.encode_map(cells)

    def dequantize(self, indices: IndexArray) -> torch.Tensor:
        """Look indices (planes, H, W) up: a feature (1, C, H, W)."""
        cells = self.network.codebook.decode_map(indices)
        return torch.from_numpy(cells).permute(2, 0, 1)[None]

    def pyramid(self, feature: torch.Tensor) -> PyramidMaps:
        """Compute an agent's pyramid from its feature (1, C, H, W)."""
        raised = feature + torch.from_numpy(self.network.offset)[:, None, None]
        values = self._extract({"decoded": raised}, *self._observers("pyramid"))
        numbers = range(len(SCALES))
        return PyramidMaps(
            [values[f"level{number}"] for number in numbers],
            [values[f"score{number}"] for number in numbers],
        )

    def heads(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Run the heads on the fused levels."""
        inputs = {f"fused{number}": level for number, level in enumerate(fused)}
        values = self._detect(inputs, *self._observers("head"))
        return HeadOutputs(values["cls"], values["reg"], values["dir"])


def run_frame(
    network: NetworkGraphs,
    frame: CalibrationFrame,
    watch: Watch | None = None,
    dtype: torch.dtype = torch.float32,
    bfloat16: bool = False,
    before: Watch | None = None,
) -> dict[str, torch.Tensor]:
    """Run one frame; see SimulatedNetwork for the arguments.

    Returns:
        ``indices`` (N, planes, H, W) uint8, ``cls``, ``reg``, ``dir`` (1, C, H, W).
    """
    simulated = SimulatedNetwork(network, watch, dtype, bfloat16, before)
    features = [simulated.encode(cloud) for cloud in frame.clouds]
    indices = [simulated.quantize(feature) for feature in features]
    heard = [simulated.dequantize(index_map) for index_map in indices]
    if not network.coded_ego:
        heard[0] = features[0]
    pyramids = [simulated.pyramid(feature) for feature in heard]
    thetas = np.stack([warp_theta(matrix, network.grid) for matrix in frame.ego_to_agent])
    heads = simulated.heads(fuse_agents(pyramids, torch.from_numpy(thetas)))
    return {"indices": torch.from_numpy(np.stack(indices)), **heads._asdict()}
