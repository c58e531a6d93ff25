# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of a bundle in full precision, from the checkpoint that the bundle has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.inference.protocol import Cloud, IndexArray
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.published import CheckpointError
from quantv2x_ros.training.pyramid import PyramidMaps


class BundleNetwork:
    """The torch network that a bundle was exported from; a `DetectorNetwork`."""

    precision = "fp32"

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
        if network.codebook is None or network.config.grid != bundle.grid:
            raise BundleError(
                f"bundle {bundle.folder}: {CHECKPOINT_FILE} is of another grid than the engines, or"
                " without a codebook; export the bundle again"
            )
        self._network = network
        self._codebook = network.codebook
        self._tables = bundle.codebook
        self.coded_ego = network.config.coded_ego

    def encode(self, points: Cloud) -> torch.Tensor:
        """Compute the BEV feature (1, C, H, W) of a sweep (P, 4)."""
        return self._network.encode_points([points])

    def quantize(self, feature: torch.Tensor) -> IndexArray:
        """Find the codebook indices (planes, H, W) of a feature (1, C, H, W)."""
        _, indices, _ = self._codebook(feature)
        return indices[0].numpy().astype(np.uint8)

    def dequantize(self, indices: IndexArray) -> torch.Tensor:
        """Look indices (planes, H, W) up: a feature (1, C, H, W)."""
        feature = self._tables.decode_map(indices).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(feature))[None]

    def pyramid(self, feature: torch.Tensor) -> PyramidMaps:
        """Compute an agent's pyramid from its feature (1, C, H, W)."""
        levels, occupancy = self._network.pyramid.extract(feature)
        return PyramidMaps(levels, [self._network.pyramid.scores(logits) for logits in occupancy])

    def heads(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Run the heads on the fused levels."""
        return self._network.heads(fused)
