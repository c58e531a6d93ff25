# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole deployed pipeline in torch, in full precision or with the engines' arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.coding.wire import IndexPrior, decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import detect
from quantv2x_ros.core.fusion.fusion import mask_scores
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.core.pillars.pillar_net import PillarNet
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import Broadcast, Cells, Cloud, Fused, IndexArray, Percept
from quantv2x_ros.training.graphs.executor import Observer
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.pyramid import fuse_frame

Float32 = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Watch = Callable[[str, torch.Tensor], None]
LEVELS = 3


@dataclass(frozen=True)
class CalibrationFrame:
    """One frame with as many agents as there really were.

    Attributes:
        clouds: (P, 4) float32 a agent, each in its own LiDAR frame, the ego first.
        ego_to_agent: (N, 4, 4) float64, the identity first.
        objects: (G, 2) x and y of known objects in the ego's frame, metres; none by default.
    """

    clouds: Sequence[Float32]
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


@dataclass(frozen=True)
class SimulatedPyramid:
    """What the pyramid makes of one agent.

    Attributes:
        levels: three (1, C, h, w).
        scores: three (1, 1, h, w).
    """

    levels: tuple[torch.Tensor, ...]
    scores: tuple[torch.Tensor, ...]


class SimulatedNetwork:
    """All graphs of a network, with codes and fusion between them.

    Args:
        network: in any precision.
        watch: called with tensor_name and value of every tensor of every graph.
        dtype: arithmetic, see GraphExecutor.
        bfloat16: convolutions in bfloat16, see GraphExecutor.
    """

    def __init__(
        self,
        network: NetworkGraphs,
        watch: Watch | None = None,
        dtype: torch.dtype = torch.float32,
        bfloat16: bool = False,
    ) -> None:
        self.network = network
        self._watch = watch
        self._encode, self._extract, self._detect = (
            network.executor(name, dtype, bfloat16) for name in ("encoder", "pyramid", "head")
        )
        self._pillars = PillarNet(network.pillars, network.grid)

    def _observer(self, graph: str) -> Observer | None:
        watch = self._watch
        return None if watch is None else lambda name, v: watch(tensor_name(graph, name), v)

    def encode(self, points: npt.ArrayLike) -> tuple[Codes, torch.Tensor | None]:
        """Encode a sweep (P, 4).

        Returns:
            Codes (planes, H, W), and what the agent's own pyramid takes in their place, see
            `extract`; None where it takes the codes, too.
        """
        pillars = torch.from_numpy(self._pillars(points).features.copy()).permute(2, 0, 1)[None]
        values = self._encode({"pillars": pillars}, self._observer("encoder"))
        feature = values["feature"][0].permute(1, 2, 0).float().contiguous()
        codes = self.network.codebook.encode_map(feature.numpy())
        own = feature.permute(2, 0, 1)[None] + torch.from_numpy(self.network.offset)[:, None, None]
        return codes, None if self.network.coded_ego else own

    def decode(self, codes: Codes) -> torch.Tensor:
        """Look codes (planes, H, W) up: the raised feature (1, C, H, W)."""
        decoded = self.network.codebook.decode_map(codes) + self.network.offset
        return torch.from_numpy(decoded).permute(2, 0, 1)[None]

    def extract(self, codes: Codes) -> SimulatedPyramid:
        """Compute one agent's pyramid of its codes."""
        return self.extract_raised(self.decode(codes))

    def extract_raised(self, raised: torch.Tensor) -> SimulatedPyramid:
        """Compute one agent's pyramid of a feature (1, C, H, W) that the offset was added to."""
        values = self._extract({"decoded": raised}, self._observer("pyramid"))
        return SimulatedPyramid(
            tuple(values[f"level{i}"] for i in range(LEVELS)),
            tuple(values[f"score{i}"] for i in range(LEVELS)),
        )

    def fuse(
        self, pyramids: Sequence[SimulatedPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> dict[str, torch.Tensor]:
        """Fuse agents (ego first) by (N, 4, 4) transforms; returns all tensors of the head."""
        thetas = torch.from_numpy(
            np.stack([warp_theta(matrix, self.network.grid) for matrix in ego_to_agent])
        )
        fused = {
            f"fused{i}": fuse_frame(
                torch.cat([pyramid.levels[i] for pyramid in pyramids]),
                torch.cat([pyramid.scores[i] for pyramid in pyramids]),
                thetas,
            )
            for i in range(LEVELS)
        }
        return self._detect(fused, self._observer("head"))


def run_frame(
    network: NetworkGraphs,
    frame: CalibrationFrame,
    watch: Watch | None = None,
    dtype: torch.dtype = torch.float32,
    bfloat16: bool = False,
) -> dict[str, torch.Tensor]:
    """Run one frame; see SimulatedNetwork for the arguments.

    Returns:
        ``codes`` (N, planes, H, W) uint8, ``cls``, ``reg``, ``dir`` (1, C, H, W).
    """
    simulated = SimulatedNetwork(network, watch, dtype, bfloat16)
    encoded = [simulated.encode(cloud) for cloud in frame.clouds]
    pyramids = [
        simulated.extract(codes) if agent or own is None else simulated.extract_raised(own)
        for agent, (codes, own) in enumerate(encoded)
    ]
    out = simulated.fuse(pyramids, frame.ego_to_agent)
    heads = {name: out[name] for name in ("cls", "reg", "dir")}
    return {"codes": torch.from_numpy(np.stack([codes for codes, _ in encoded])), **heads}


class SimulatedDetector:
    """Detects with a network in torch instead of a bundle's engines; see `Detector`.

    Args:
        network: in any precision.
        bundle: of the same network, for anchors and post-processing.
    """

    plain_bytes = 0

    def __init__(self, network: NetworkGraphs, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self.precision = network.precision
        self._simulated = SimulatedNetwork(network)
        self._anchors = bundle.anchors.grid_anchors(network.grid)
        book = network.codebook
        self._prior = IndexPrior(book.dict_size)
        self._shape = (book.planes, *network.grid.shape)

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep into the bytes of its index map."""
        start = time.perf_counter()
        codes, own = self._simulated.encode(points)
        payload = encode_indices(codes, self._prior)
        return Broadcast(payload, {"encoder": 1e3 * (time.perf_counter() - start)}, own)

    def decode(self, payload: bytes) -> IndexArray:
        """Read a message's index map."""
        return decode_indices(payload, self._prior, self._shape)

    def perceive(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> Percept:
        """Compute one agent's pyramid; lost rows are background and have no score."""
        start = time.perf_counter()
        if received is not None:
            background = np.array(self.bundle.manifest.codebook.background, np.uint8)
            indices = np.where(received, indices, background[:, None, None])
        pyramid = self._simulated.extract(indices)
        if received is not None:
            scores = [mask_scores(score[0, 0].numpy(), received) for score in pyramid.scores]
            masked = tuple(torch.from_numpy(score)[None, None] for score in scores)
            pyramid = SimulatedPyramid(pyramid.levels, masked)
        return Percept(pyramid, {"fusion": 1e3 * (time.perf_counter() - start)})

    def perceive_own(self, own: torch.Tensor) -> Percept:
        """Compute the ego's pyramid from its own, raised feature."""
        start = time.perf_counter()
        pyramid = self._simulated.extract_raised(own)
        return Percept(pyramid, {"fusion": 1e3 * (time.perf_counter() - start)})

    def fuse(self, percepts: Sequence[Percept], ego_to_agents: npt.NDArray[np.float64]) -> Fused:
        """Fuse the agents' pyramids."""
        start = time.perf_counter()
        out = self._simulated.fuse([percept.content for percept in percepts], ego_to_agents)
        maps = [
            np.ascontiguousarray(out[name][0].permute(1, 2, 0).numpy())
            for name in ("cls", "reg", "dir")
        ]
        detections = detect(maps[0], maps[1], maps[2], self._anchors, self.bundle.detection)
        return Fused(detections, {"fusion": 1e3 * (time.perf_counter() - start)})
