# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of several agents in, boxes out, by a network in torch.

Two choices are left open: the network (`DetectorNetwork`: a bundle's in full precision, or its
quantized graphs in simulation), and what goes over the air (`MessageFormat`: codebook indices, or
features as they are).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.coding.wire import WireError, decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import detect
from quantv2x_ros.core.fusion.fusion import mask_scores
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.detector import box_contributions
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import (
    Broadcast,
    Cells,
    Cloud,
    IndexArray,
    Message,
    PlainFeature,
    indices_of,
)
from quantv2x_ros.inference.results import AgentPyramid, FeatureArray, FusionResult
from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.pyramid import PyramidMaps, fuse_agents


class DetectorNetwork(Protocol):
    """The learned parts of cooperative detection, each for one agent or one frame, in float32."""

    @property
    def precision(self) -> str:
        """`fp32` or `int8`."""

    @property
    def coded_ego(self) -> bool:
        """Whether the ego's own feature goes through the codebook, too; see `NetworkConfig`."""

    def encode(self, points: Cloud) -> torch.Tensor:
        """Compute the BEV feature (1, C, H, W) of a sweep (P, 4)."""

    def quantize(self, feature: torch.Tensor) -> IndexArray:
        """Find the codebook indices (planes, H, W) of a feature (1, C, H, W)."""

    def dequantize(self, indices: IndexArray) -> torch.Tensor:
        """Look indices (planes, H, W) up: a feature (1, C, H, W)."""

    def pyramid(self, feature: torch.Tensor) -> PyramidMaps:
        """Compute an agent's pyramid from its feature (1, C, H, W)."""

    def heads(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Run the heads on the fused levels."""


class MessageFormat(Protocol):
    """What an agent sends of its feature, and how it is read.

    Attributes:
        suffix: What a detector's precision says of it.
    """

    suffix: str

    def encode(self, network: DetectorNetwork, feature: torch.Tensor) -> bytes:
        """Make the bytes on the air of a feature (1, C, H, W)."""

    def decode(self, payload: bytes) -> Message:
        """Read a message."""


class IndexMessages:
    """Codebook indices, entropy-coded as by the nodes."""

    suffix = ""

    def __init__(self, bundle: ModelBundle) -> None:
        """Take shape, background and the entropy coder's model from a bundle."""
        self._entropy_model = bundle.entropy_model
        self._shape = (bundle.codebook.planes, *bundle.grid.shape)

    def encode(self, network: DetectorNetwork, feature: torch.Tensor) -> bytes:
        """Code the indices of a feature."""
        return encode_indices(network.quantize(feature), self._entropy_model)

    def decode(self, payload: bytes) -> IndexArray:
        """Read an index map (planes, H, W)."""
        return decode_indices(payload, self._entropy_model, self._shape)


class FeatureMessages:
    """Features that no codebook has touched, as float32 (H, W, C), little endian."""

    suffix = ", uncoded"

    def __init__(self, bundle: ModelBundle) -> None:
        """Take the shape from a bundle."""
        self._shape = (*bundle.grid.shape, bundle.codebook.channels)

    def encode(self, network: DetectorNetwork, feature: torch.Tensor) -> bytes:
        """Return the bytes of a feature."""
        return feature[0].permute(1, 2, 0).numpy().astype("<f4").tobytes()

    def decode(self, payload: bytes) -> PlainFeature:
        """Read a feature.

        Raises:
            WireError: For another number of bytes than the shape takes.
        """
        expected = 4 * math.prod(self._shape)
        if len(payload) != expected:
            raise WireError(
                f"feature: got {len(payload)} bytes, {self._shape} float32 takes {expected}; the"
                " message is damaged or of another bundle"
            )
        values = np.frombuffer(payload, "<f4").astype(np.float32)
        return PlainFeature(values.reshape(self._shape))


class TorchDetector:
    """Detects with a network in torch instead of a bundle's engines; see `Detector`."""

    def __init__(
        self, bundle: ModelBundle, network: DetectorNetwork, messages: MessageFormat | None = None
    ) -> None:
        """Put the parts together.

        Args:
            bundle: Of the network, for its codebook, anchors and post-processing.
            network: Computes features, pyramids and heads.
            messages: What goes over the air; `None` for codebook indices.
        """
        self.bundle = bundle
        self._network = network
        self._messages = IndexMessages(bundle) if messages is None else messages
        self._background = bundle.background
        self._anchors = bundle.anchors.grid_anchors(bundle.grid)
        self.precision = network.precision + self._messages.suffix
        self.sends_features = isinstance(self._messages, FeatureMessages)

    @torch.no_grad()
    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep into the bytes of its message."""
        start = time.perf_counter()
        feature = self._network.encode(points)
        payload = self._messages.encode(self._network, feature)
        own = None if self._network.coded_ego else feature[0].permute(1, 2, 0).numpy()
        return Broadcast(payload, {"encoder": _since(start)}, own)

    def decode(self, payload: bytes) -> Message:
        """Read a message."""
        return self._messages.decode(payload)

    def columns(self, ego_to_agent: npt.NDArray[np.float64] | None) -> None:
        """Leave nothing out; see `Detector`."""

    @torch.no_grad()
    def pyramid(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentPyramid:
        """Compute one agent's pyramid; lost cells are background, and have no score.

        Raises:
            MessageError: For a feature as it is, which goes to `own_pyramid`.
        """
        start = time.perf_counter()
        indices = indices_of(indices)
        if received is not None:
            indices = np.where(received, indices, self._background[:, None, None])
        maps = self._network.pyramid(self._network.dequantize(indices))
        scores = [score[0, 0].numpy() for score in maps.scores]
        if received is not None:
            scores = [mask_scores(score, received) for score in scores]
        return AgentPyramid(_levels(maps), tuple(scores), {"fusion": _since(start)})

    @torch.no_grad()
    def own_pyramid(self, own: FeatureArray) -> AgentPyramid:
        """Compute a pyramid from a feature (H, W, C) float32."""
        start = time.perf_counter()
        maps = self._network.pyramid(_as_feature(own))
        scores = tuple(score[0, 0].numpy() for score in maps.scores)
        return AgentPyramid(_levels(maps), scores, {"fusion": _since(start)})

    @torch.no_grad()
    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """Fuse the agents' pyramids."""
        start = time.perf_counter()
        thetas = np.stack([warp_theta(matrix, self.bundle.grid) for matrix in ego_to_agent])
        agents = [
            PyramidMaps(
                [_as_feature(level) for level in pyramid.features],
                [torch.from_numpy(score)[None, None] for score in pyramid.scores],
            )
            for pyramid in pyramids
        ]
        outputs = self._network.heads(fuse_agents(agents, torch.from_numpy(thetas)))
        maps = [np.ascontiguousarray(item[0].permute(1, 2, 0).numpy()) for item in outputs]
        stages = {"fusion": _since(start)}
        start = time.perf_counter()
        detections = detect(maps[0], maps[1], maps[2], self._anchors, self.bundle.detection)
        contributions = box_contributions(pyramids, thetas, detections, self.bundle.grid)
        return FusionResult(detections, {**stages, "detection": _since(start)}, contributions)


def _levels(maps: PyramidMaps) -> tuple[npt.NDArray[np.float32], ...]:
    """Return a pyramid's levels as views (h, w, C): no copy, the strides stay."""
    return tuple(level[0].permute(1, 2, 0).numpy() for level in maps.levels)


def _as_feature(values: FeatureArray) -> torch.Tensor:
    """Return an array (H, W, C) as a view (1, C, H, W) with the strides that it has."""
    planes = torch.from_numpy(values).permute(2, 0, 1)
    # the batch's stride, too: another memory format rounds sums otherwise
    return planes.as_strided((1, *planes.shape), (planes.numel(), *planes.stride()))


def _since(start: float) -> float:
    """Return the milliseconds since a time of `time.perf_counter`."""
    return 1e3 * (time.perf_counter() - start)
