# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The plain torch FP32 network, given every advantage that torch has without export."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.benchmark.torch_reference.polygons import plain_detect
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.points import pillar_input

Cloud = npt.NDArray[np.float32]
Times = dict[str, float]


class PlainFrame(Protocol):
    """One frame.

    Attributes:
        clouds: (P, 4) float32 a sweep, the ego's first, each in its own LiDAR frame.
        ego_to_agents: (N, 4, 4) from the ego's coordinates to each agent's.
    """

    @property
    def clouds(self) -> Sequence[Cloud]:
        """The sweeps."""

    @property
    def ego_to_agents(self) -> npt.NDArray[np.float64]:
        """The transforms."""


def _own_network(bundle: ModelBundle) -> QuantV2XNetwork:
    path = bundle.folder / CHECKPOINT_FILE
    if not path.is_file():
        raise BundleError(f"bundle {bundle.folder}: it has no {CHECKPOINT_FILE} to compare to")
    return load_checkpoint(path)


class PlainPipeline:
    """Clouds to boxes with torch: evaluation mode, inference mode, channels last, one batch.

    Pillars are grouped by this package's own code, as the network does in training.

    Args:
        bundle: whose checkpoint to run.
        threads: CPU threads, for the whole process.
        network: run instead of the checkpoint's network.

    Raises:
        BundleError: for a bundle without a checkpoint, or one without residual codebook.
    """

    def __init__(
        self, bundle: ModelBundle, threads: int, network: QuantV2XNetwork | None = None
    ) -> None:
        torch.set_num_threads(threads)
        if network is None:
            network = _own_network(bundle)
        if not isinstance(network.codebook, TrainableCodebook):
            raise BundleError(
                f"bundle {bundle.folder}: its checkpoint has no residual codebook, and the plain"
                " pipeline runs no other"
            )
        self.bundle = bundle
        self._codebook = network.codebook
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._anchors = torch.from_numpy(
            bundle.anchors.grid_anchors(bundle.grid).astype(np.float32)
        )

    @classmethod
    def published(cls, bundle: ModelBundle, threads: int) -> PlainPipeline:
        """Return the published network on a bundle's grid, whatever the bundle's own is.

        Its weights are the bundle's where that is of this architecture, and untrained ones
        elsewhere: they take the same time, and their boxes mean nothing.
        """
        if bundle.manifest.architecture == "published":
            return cls(bundle, threads)
        manifest = bundle.manifest
        config = NetworkConfig(
            grid=bundle.grid,
            levels=manifest.codebook.levels,
            segments=manifest.codebook.segments,
            dict_size=manifest.codebook.dict_size,
            score_gain=manifest.score_gain,
            coded_ego=bundle.own_feature is None,
        )
        return cls(bundle, threads, QuantV2XNetwork(config).eval())

    def _codes(self, features: torch.Tensor) -> torch.Tensor:
        """Codes (cells, levels, segments) of features (N, C, H, W); no loss, unlike training."""
        x = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        codes = []
        for level in self._codebook.ordered_levels():
            latent = level.stage(x)
            code = level.assign(latent)
            codes.append(code)
            if level.latent is not None:
                x = level.latent(latent) - level.lookup(code)
        return torch.stack(codes, dim=1)

    def _encode(self, clouds: Sequence[Cloud]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes, and the features (N, C, H, W) behind them."""
        pillars = pillar_input(clouds, [self.bundle.grid] * len(clouds))
        canvas = self._network.scatter(pillars).contiguous(memory_format=torch.channels_last)
        features = self._network.backbone(canvas)
        return self._codes(features), features

    @torch.inference_mode()
    def encode(self, cloud: Cloud) -> Times:
        """Encode one cloud; milliseconds of ``encoder``."""
        start = time.perf_counter()
        self._encode([cloud])
        return {"encoder": 1e3 * (time.perf_counter() - start)}

    @torch.inference_mode()
    def run(self, frame: PlainFrame) -> tuple[Detections, Times]:
        """Run one frame; see OurPipeline.run."""
        start = time.perf_counter()
        codes, sent = self._encode(frame.clouds)
        encoded = time.perf_counter()
        agents = len(frame.clouds)
        height, width = self.bundle.grid.shape
        decoded = self._codebook.decode(codes).view(agents, height, width, -1)
        features = self._network.heard(sent, decoded.permute(0, 3, 1, 2), [agents])
        thetas = np.stack([warp_theta(pose, self.bundle.grid) for pose in frame.ego_to_agents])
        out, _ = self._network.detect(features, torch.from_numpy(thetas), [agents])
        fused = time.perf_counter()
        found = plain_detect(out.cls, out.reg, out.dir, self._anchors, self.bundle.detection)
        end = time.perf_counter()
        times = {
            "frame": 1e3 * (end - start),
            "encoder": 1e3 * (encoded - start) / agents,
            "fusion": 1e3 * (fused - encoded),
            "detection": 1e3 * (end - fused),
        }
        return found, times
