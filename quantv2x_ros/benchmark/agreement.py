# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether two pipelines find the same boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import bev_iou

#: BEV IoU from which two boxes of one class are the same.
OVERLAP = 0.5


def agreement(ours: Detections, reference: Detections) -> dict[str, Any]:
    """Count boxes of each side that the other has, too: same class, BEV IoU of 0.5 or more."""
    matched = _overlaps(ours, reference) >= OVERLAP
    return {
        "ours": len(ours),
        "torch_fp32": len(reference),
        "ours_also_in_torch": int(matched.any(axis=1).sum()) if matched.size else 0,
        "torch_also_in_ours": int(matched.any(axis=0).sum()) if matched.size else 0,
    }


def closeness(found: Detections, expected: Detections) -> dict[str, Any]:
    """How close the boxes of two backends are.

    Returns:
        ``found`` and ``expected``: numbers of boxes. ``share`` of all boxes of both sides: those
        that the other side has, too; 1 where neither has any. Of boxes found that are expected,
        each beside the one that overlaps it most: the greatest difference of centre (``centre_m``,
        metres in x and y) and of ``score``.
    """
    overlaps = _overlaps(found, expected)
    matched = overlaps >= OVERLAP
    total = len(found) + len(expected)
    both = int(matched.any(axis=1).sum() + matched.any(axis=0).sum()) if matched.size else 0
    row: dict[str, Any] = {
        "found": len(found),
        "expected": len(expected),
        "share": round(both / total, 4) if total else 1.0,
        "centre_m": 0.0,
        "score": 0.0,
    }
    if both:
        mine = np.flatnonzero(matched.any(axis=1))
        theirs = overlaps[mine].argmax(axis=1)
        apart = found.boxes[mine, :2] - expected.boxes[theirs, :2]
        row["centre_m"] = round(float(np.linalg.norm(apart, axis=1).max()), 4)
        row["score"] = round(float(np.abs(found.scores[mine] - expected.scores[theirs]).max()), 4)
    return row


def _overlaps(ours: Detections, reference: Detections) -> npt.NDArray[np.float64]:
    """BEV IoU of every pair of one class, 0 for the others."""
    same = ours.labels[:, None] == reference.labels[None, :]
    return np.where(same, bev_iou(ours.boxes, reference.boxes), 0.0)
