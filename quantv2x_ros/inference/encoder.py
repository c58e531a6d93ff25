# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An agent's own part: points to codebook indices."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy.typing as npt

from quantv2x_ros.core.pillars.pillar_net import PillarNet
from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import EncodedSweep, StageTimer
from quantv2x_ros.inference.shapes import encoder_shapes


class AgentEncoder:
    """Points to codebook indices. One thread at a time may use it.

    Args:
        bundle: the model bundle.
        backend: see create_engine.
        threads: CPU threads; None for one a core.
        keep_own: whether sweeps keep their feature for the agent's own pyramid, where the bundle
            uses it.

    Attributes:
        pool: as many threads, for what is done with a sweep's indices; None of one thread.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        backend: str = "auto",
        threads: int | None = None,
        keep_own: bool = False,
    ) -> None:
        self.bundle = bundle
        self._own_feature = bundle.own_feature if keep_own else None
        self._pillars = PillarNet(bundle.pillar_weights, bundle.grid, bundle.scale("pillars"))
        self._engine = create_engine(
            bundle.engine_path("encoder"),
            encoder_shapes(bundle),
            backend,
            threads,
        )
        self._scale = bundle.scale("feature") or 1.0
        self._threads = threads or os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(self._threads, "encoder") if self._threads > 1 else None

    def encode(self, points: npt.ArrayLike) -> EncodedSweep:
        """Encode one sweep.

        Args:
            points: (P, 4) float32 x, y, z [m], intensity, in the agent's LiDAR frame. Points that
                are not finite or out of range are dropped; none left is a valid, empty sweep.

        Raises:
            ValueError: for another shape.
        """
        timer = StageTimer()
        pillars = self._pillars(points)
        timer.stop("pillars")
        feature = self._engine.run({"pillars_nhwc": pillars.features[None]})["feature_nhwc"][0]
        timer.stop("encoder")
        indices = self.bundle.codebook.encode_map(
            feature, self._scale, pool=self.pool, parts=self._threads
        )
        timer.stop("codebook")
        own = None if self._own_feature is None else self._own_feature(feature)
        return EncodedSweep(indices, timer.stages, pillars.pillars, pillars.points, own)
