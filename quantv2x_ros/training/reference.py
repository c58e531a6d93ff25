# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The FP32 twin of a bundle: the torch network with the bundle's checkpoint. Needs torch."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.coding.wire import decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import detect
from quantv2x_ros.core.fusion.fusion import mask_scores
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.inference.protocol import Broadcast, Cells, Cloud, Fused, IndexArray, Percept
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.points import pillar_input
from quantv2x_ros.training.published import CheckpointError
from quantv2x_ros.training.pyramid import fuse_frame


class NetworkDetector:
    """Runs the torch network in full precision; see `Detector`."""

    precision = "fp32"
    plain_bytes = 0

    def __init__(self, bundle: ModelBundle, threads: int = 0) -> None:
        """Build the network of a bundle.

        Args:
            bundle: The model.
            threads: Threads of torch, for the whole process; 0: one a core.

        Raises:
            BundleError: If the bundle has no checkpoint, or one of another architecture.
        """
        path = bundle.folder / CHECKPOINT_FILE
        if not path.is_file():
            raise BundleError(
                f"bundle {bundle.folder}: it has no {CHECKPOINT_FILE}, so it cannot be evaluated in"
                " fp32; export it with its weights"
            )
        if threads:
            torch.set_num_threads(threads)
        try:
            network = load_checkpoint(path)
        except CheckpointError as error:
            raise BundleError(f"bundle {bundle.folder}: {error}") from error
        book = bundle.codebook
        if network.codebook is None or network.config.grid != bundle.grid:
            raise BundleError(
                f"bundle {bundle.folder}: {CHECKPOINT_FILE} is of another grid than the engines, or"
                " without a codebook; export the bundle again"
            )
        self.bundle = bundle
        self._network = network
        self._codebook = network.codebook
        self._anchors = bundle.anchors.grid_anchors(bundle.grid)
        self._prior = bundle.prior
        self._shape = (book.levels * book.segments, *bundle.grid.shape)

    @torch.no_grad()
    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep into the bytes of its index map."""
        start = time.perf_counter()
        feature = self._network.encode(pillar_input([points], [self.bundle.grid]))
        _, codes, _ = self._codebook(feature)
        payload = encode_indices(codes[0].numpy().astype(np.uint8), self._prior)
        own = None if self._network.config.coded_ego else feature
        return Broadcast(payload, {"encoder": 1e3 * (time.perf_counter() - start)}, own)

    def decode(self, payload: bytes) -> IndexArray:
        """Read a message's index map."""
        return decode_indices(payload, self._prior, self._shape)

    @torch.no_grad()
    def perceive(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> Percept:
        """Compute one agent's pyramid and scores; lost rows are background and have no score."""
        start = time.perf_counter()
        if received is not None:
            background = np.array(self.bundle.manifest.codebook.background, np.uint8)
            indices = np.where(received, indices, background[:, None, None])
        levels, scores = self._pyramid(self._decode(indices[None]))
        if received is not None:
            scores = [
                torch.from_numpy(mask_scores(score[0, 0].numpy(), received))[None, None]
                for score in scores
            ]
        milliseconds = 1e3 * (time.perf_counter() - start)
        return Percept((levels, scores), {"fusion": milliseconds})

    @torch.no_grad()
    def perceive_own(self, own: torch.Tensor) -> Percept:
        """Compute the ego's pyramid and scores from its feature (1, C, H, W)."""
        start = time.perf_counter()
        levels, scores = self._pyramid(own)
        return Percept((levels, scores), {"fusion": 1e3 * (time.perf_counter() - start)})

    @torch.no_grad()
    def fuse(self, percepts: Sequence[Percept], ego_to_agents: npt.NDArray[np.float64]) -> Fused:
        """Fuse the agents' pyramids."""
        start = time.perf_counter()
        thetas = np.stack([warp_theta(matrix, self.bundle.grid) for matrix in ego_to_agents])
        agents = [percept.content for percept in percepts]
        fused_levels = [
            fuse_frame(
                torch.cat([levels[index] for levels, _ in agents]).float(),
                torch.cat([scores[index] for _, scores in agents]),
                torch.from_numpy(thetas),
            )
            for index in range(len(agents[0][0]))
        ]
        outputs = self._network.heads(self._network.pyramid.merge(fused_levels))
        maps = [np.ascontiguousarray(item[0].permute(1, 2, 0).float().numpy()) for item in outputs]
        fused = time.perf_counter()
        detections = detect(maps[0], maps[1], maps[2], self._anchors, self.bundle.detection)
        stages = {
            "fusion": 1e3 * (fused - start),
            "detection": 1e3 * (time.perf_counter() - fused),
        }
        return Fused(detections, stages)

    def _pyramid(self, feature: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return levels and scores of a feature (1, C, H, W)."""
        levels, occupancy = self._network.pyramid.extract(feature)
        return levels, [self._network.pyramid.scores(logits) for logits in occupancy]

    def _decode(self, indices: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Look index maps (N, planes, H, W) up: features (N, C, H, W)."""
        agents, planes, rows, columns = indices.shape
        book = self.bundle.codebook
        cells = book.decode(indices.transpose(1, 0, 2, 3).reshape(planes, -1))
        return torch.from_numpy(
            np.ascontiguousarray(cells.reshape(agents, rows, columns, -1).transpose(0, 3, 1, 2))
        )
