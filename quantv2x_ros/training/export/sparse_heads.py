# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures where a bundle's heads need computing, see `inference.cell_heads`."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import PROTOCOL_SCORE
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import SparseHeads
from quantv2x_ros.training.quantization.simulation import CalibrationFrame

#: Share of the cells with a candidate that may be left out; an object has ten or more of them.
MISSED = 5e-4

_LOGGER = logging.getLogger(__name__)


def measure_sparse_heads(
    bundle: ModelBundle, frames: Iterable[CalibrationFrame], scores: Collection[float] = ()
) -> tuple[SparseHeads, ...]:
    """Find the occupancies that all but `MISSED` of the cells with a candidate have.

    Args:
        bundle: in INT8.
        frames: to measure on.
        scores: thresholds; a cell has a candidate where a score is above. By default the published
            evaluation's, and what the bundle's nodes act on.

    Returns:
        What its manifest should say: an entry for each threshold above which the frames hold a
        candidate.
    """
    thresholds = sorted(set(scores) or {PROTOCOL_SCORE, bundle.detection.lowest_threshold})
    encoder = AgentEncoder(bundle, "openvino", keep_own=True)
    detector = CooperativeDetector(bundle, "openvino")
    found = [np.zeros((0, 2), np.float32)]
    for frame in frames:
        found.append(_candidates(encoder, detector, frame, thresholds[0]))
    logits, occupancy = np.concatenate(found).T
    entries = []
    for score in thresholds:
        of_candidates = np.sort(occupancy[logits > _logit(score)])
        if len(of_candidates) == 0:
            break
        # rounded down, so that the cell that it was measured in is computed
        least = math.floor(1e4 * float(of_candidates[int(MISSED * len(of_candidates))])) / 1e4
        if 0.0 < least < 1.0:
            entries.append(SparseHeads(least, score))
    return tuple(entries)


def _logit(score: float) -> float:
    return math.log(score / (1.0 - score))


def _candidates(
    encoder: AgentEncoder,
    detector: CooperativeDetector,
    frame: CalibrationFrame,
    score: float,
) -> npt.NDArray[np.float32]:
    """Return the highest logit and the occupancy of each cell with a candidate, (cells, 2)."""
    pyramids = []
    for number, cloud in enumerate(frame.clouds):
        sweep = encoder.encode(cloud)
        if number == 0 and sweep.own is not None:
            pyramids.append(detector.own_pyramid(sweep.own))
        else:
            transform = frame.ego_to_agent[number]
            pyramids.append(detector.pyramid(sweep.indices, None, transform))
    logits = detector.head_maps(pyramids, frame.ego_to_agent).cls.max(axis=2)
    occupancy = detector.occupancy(pyramids, frame.ego_to_agent)
    return np.stack([logits, occupancy], axis=-1)[logits > _logit(score)]


def record_sparse_heads(folder: str | Path, frames: Iterable[CalibrationFrame]) -> ModelBundle:
    """Measure where a bundle's heads need computing, and write it into its manifest.

    Args:
        folder: the bundle, in INT8 and without parity.
        frames: to measure on.

    Returns:
        The bundle; without entries, which is logged, where the frames hold no candidate.

    Raises:
        BundleError: for a damaged bundle, or one whose heads must be computed everywhere.
    """
    bundle = ModelBundle.load(folder)
    sparse = measure_sparse_heads(bundle, frames)
    if not sparse:
        _LOGGER.warning(
            "%s finds nothing in the frames, so that its heads are computed in all cells", folder
        )
    return bundle.rewritten(replace(bundle.manifest, sparse_heads=sparse))
