# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Corrects peers' poses by what each agent detects alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.pose_alignment import Alignment, AlignmentSettings, align_peer
from quantv2x_ros.core.geometry.pose import invert, transform_between
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.peer_views import PeerView
from quantv2x_ros.inference.protocol import FusionDetector
from quantv2x_ros.inference.results import AgentPyramid

Float64 = npt.NDArray[np.float64]


class PoseAligner:
    """Detects with each agent's pyramid alone, which costs the heads once an agent, and aligns."""

    def __init__(self, detector: FusionDetector, settings: AlignmentSettings | None = None) -> None:
        """Use a detector.

        Args:
            detector: detector of the model.
            settings: how poses are corrected.
        """
        self._detector = detector
        self._settings = settings or AlignmentSettings()

    def alone(self, pyramid: AgentPyramid) -> Detections:
        """Return what an agent sees by itself, in its own frame."""
        return self._detector.fuse([pyramid], np.eye(4)[None]).detections

    def align(
        self, ego: AgentPyramid, peers: Sequence[AgentPyramid], ego_to_agent: Float64
    ) -> tuple[Float64, tuple[Alignment, ...]]:
        """Correct the transforms of a fusion.

        Args:
            ego: the ego's pyramid.
            peers: the peers'.
            ego_to_agent: (N, 4, 4) by the poses that were sent, the ego's identity first.

        Returns:
            The corrected (N, 4, 4), and each peer's alignment.
        """
        corrected = np.array(ego_to_agent, dtype=np.float64)
        seen = self.alone(ego)
        alignments = tuple(
            align_peer(seen, self.alone(peer), invert(matrix), self._settings)
            for peer, matrix in zip(peers, ego_to_agent[1:], strict=True)
        )
        for number, alignment in enumerate(alignments, start=1):
            if alignment.pairs:
                corrected[number] = invert(alignment.peer_to_ego)
        return corrected, alignments


class HeldAlignment:
    """Corrects poses now and then; a correction, in the map, holds until the next one.

    What a pose is off changes slowly, as the error of satellite positions does. For one thread at a
    time.
    """

    def __init__(self, aligner: PoseAligner, period: float) -> None:
        """Know no correction yet.

        Args:
            aligner: finds them.
            period: time between two, seconds.
        """
        self._aligner = aligner
        self._period_ns = round(period * 1e9)
        self._last_ns: int | None = None

    def poses(
        self, ego: tuple[AgentSweep, AgentPyramid], peers: Sequence[PeerView]
    ) -> list[Float64]:
        """Return the corrected (4, 4) sensor-to-map of each agent; the ego's, the first, as it is.

        Args:
            ego: the ego's sweep and pyramid.
            peers: those of each peer; their records hold the corrections.
        """
        sweep, _ = ego
        elapsed = None if self._last_ns is None else sweep.stamp_ns - self._last_ns
        if elapsed is None or not 0 <= elapsed < self._period_ns:
            self._last_ns = sweep.stamp_ns
            self._update(ego, peers)
        return [
            sweep.pose,
            *(
                peer.sweep.pose
                if peer.record.correction is None
                else peer.record.correction @ peer.sweep.pose
                for peer in peers
            ),
        ]

    def _update(self, ego: tuple[AgentSweep, AgentPyramid], peers: Sequence[PeerView]) -> None:
        sweep, pyramid = ego
        transforms = np.stack(
            [np.eye(4), *(transform_between(sweep.pose, peer.sweep.pose) for peer in peers)]
        )
        pyramids = [peer.pyramid for peer in peers]
        _, alignments = self._aligner.align(pyramid, pyramids, transforms)
        for peer, found in zip(peers, alignments, strict=True):
            peer.record.alignment = found
            peer.record.correction = (
                sweep.pose @ found.peer_to_ego @ invert(peer.sweep.pose) if found.pairs else None
            )
