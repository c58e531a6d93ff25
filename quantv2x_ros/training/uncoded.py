# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle's network would find if agents sent their features as they are. Needs torch."""

from __future__ import annotations

import time
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.coding.wire import encode_indices
from quantv2x_ros.evaluation.settings import EvaluationSettingError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import Broadcast, Cells, Cloud, IndexArray, Percept
from quantv2x_ros.training.points import pillar_input
from quantv2x_ros.training.reference import NetworkDetector

#: Sweeps whose features are remembered until they are perceived.
_KEPT = 32


class UncodedDetector(NetworkDetector):
    """Runs the torch network on features that no codebook has touched.

    A sweep's indices are still made, but only to know its features again.
    """

    precision = "fp32, uncoded"

    def __init__(self, bundle: ModelBundle, threads: int = 0) -> None:
        """Build the network of a bundle; see `NetworkDetector`."""
        super().__init__(bundle, threads)
        self._features: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        channels = bundle.codebook.tables.shape[-1]
        self.plain_bytes = 4 * channels * int(np.prod(bundle.grid.shape))

    @torch.no_grad()
    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode a sweep, and remember its features."""
        start = time.perf_counter()
        feature = self._network.encode(pillar_input([points], [self.bundle.grid]))
        _, codes, _ = self._codebook(feature)
        indices = codes[0].numpy().astype(np.uint8)
        self._features[indices.tobytes()] = feature
        while len(self._features) > _KEPT:
            self._features.popitem(last=False)
        payload = encode_indices(indices, self._prior)
        return Broadcast(payload, {"encoder": 1e3 * (time.perf_counter() - start)})

    @torch.no_grad()
    def perceive(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> Percept:
        """Compute one agent's pyramid and scores from the features behind its indices.

        Raises:
            EvaluationSettingError: for a sweep that did not arrive as it was sent.
        """
        feature = self._features.get(np.ascontiguousarray(indices).tobytes())
        if feature is None or received is not None:
            raise EvaluationSettingError(
                "uncoded features are not sent in tiles: leave loss, selection, budget and channel "
                "away, or choose another precision"
            )
        return self.perceive_own(feature)
