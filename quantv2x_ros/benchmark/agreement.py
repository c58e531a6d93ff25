# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether two pipelines find the same boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantv2x_ros.core.boxes import bev_iou
from quantv2x_ros.core.detection import Detections

#: BEV IoU from which two boxes of one class are the same.
OVERLAP = 0.5


def agreement(ours: Detections, reference: Detections) -> dict[str, Any]:
    """Count boxes of each side that the other has, too: same class, BEV IoU of 0.5 or more."""
    overlap = bev_iou(ours.boxes, reference.boxes)
    same = ours.labels[:, None] == reference.labels[None, :]
    matched = np.where(same, overlap, 0.0) >= OVERLAP
    return {
        "ours": len(ours),
        "torch_fp32": len(reference),
        "ours_also_in_torch": int(matched.any(axis=1).sum()) if matched.size else 0,
        "torch_also_in_ours": int(matched.any(axis=0).sum()) if matched.size else 0,
    }
