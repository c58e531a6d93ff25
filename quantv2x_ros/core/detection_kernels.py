# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernel of core.detection: one pass over the logits of all anchors."""

import math

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Float32Array = npt.NDArray[np.float32]


@njit(cache=True, nogil=True)
def collect_candidates(
    logits: Float32Array, floors: npt.NDArray[np.float64], thresholds: Float32Array
) -> tuple[npt.NDArray[np.int64], Float32Array, npt.NDArray[np.int32]]:
    """Anchors whose best label scores above its threshold: indices, scores, labels, flat order."""
    anchors, classes = logits.shape
    indices = np.empty(anchors, np.int64)
    scores = np.empty(anchors, np.float32)
    labels = np.empty(anchors, np.int32)
    count = 0
    for a in range(anchors):
        best = logits[a, 0]
        label = 0
        for k in range(1, classes):
            if logits[a, k] > best:
                best = logits[a, k]
                label = k
        if best > floors[label]:
            score = np.float32(1.0 / (1.0 + math.exp(-best)))
            if score > thresholds[label]:
                indices[count] = a
                scores[count] = score
                labels[count] = label + 1
                count += 1
    return indices[:count].copy(), scores[:count].copy(), labels[:count].copy()
