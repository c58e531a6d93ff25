# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Box voting: a kept box takes the mean place and size of the candidates that it stands for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.boxes import bev_iou

#: x, y, z, l, w, h; the heading stays that of the best box, since opposite ones have no mean.
_VOTED = slice(0, 6)


def vote(
    kept: npt.NDArray[np.integer],
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    threshold: float,
) -> npt.NDArray[np.float32]:
    """Refine boxes by those that were suppressed (Gidaris and Komodakis, arXiv 1505.01749).

    A candidate's weight is its BEV IoU with the kept box times the square of its score.

    Args:
        kept: (K,) which candidates suppression kept.
        boxes: (N, 7) candidates [x, y, z, l, w, h, yaw], metres and radians.
        scores: (N,).
        labels: (N,) classes.
        threshold: candidates of the same class with a BEV IoU above this have a vote; in [0, 1),
            so that every box has its own.

    Returns:
        (K, 7) the kept boxes, in their order, with their own headings.
    """
    refined = boxes[kept]
    overlap = bev_iou(refined, boxes)
    votes = (labels[kept][:, None] == labels[None, :]) & (overlap > threshold)
    weights = np.where(votes, overlap * np.square(scores, dtype=np.float64), 0.0)
    totals = weights.sum(axis=1, keepdims=True)
    counted = totals[:, 0] > 0.0  # a box without an area overlaps nothing, not even itself
    refined[counted, _VOTED] = (weights @ boxes[:, _VOTED])[counted] / totals[counted]
    return refined
