# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The usual post-processing of such networks: torch, and one pair of polygons at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from shapely.geometry import Polygon

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections, in_range
from quantv2x_ros.core.geometry.boxes import corners

Float32 = npt.NDArray[np.float32]


def polygon_nms(
    boxes: Float32,
    scores: Float32,
    threshold: float,
    labels: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.int64]:
    """Greedy suppression with a polygon a box and an intersection a pair.

    Args:
        boxes: (N, 7).
        scores: (N,).
        threshold: a box is dropped where its BEV IoU with a kept, better one is above this.
        labels: where given, boxes suppress only boxes of their own label.

    Returns:
        Indices of the kept boxes in descending score.
    """
    polygons = [Polygon(points[:4, :2]) for points in corners(boxes)]
    order = list(np.argsort(-scores, kind="stable"))
    kept = []
    while order:
        best = order.pop(0)
        kept.append(best)
        polygon = polygons[best]
        rest = []
        for other in order:
            if labels is not None and labels[other] != labels[best]:
                rest.append(other)
                continue
            shared = polygon.intersection(polygons[other]).area
            union = polygon.area + polygons[other].area - shared
            if shared <= threshold * union:  # a box without area overlaps nothing
                rest.append(other)
        order = rest
    return np.array(kept, np.int64)


def decode(deltas: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Boxes (K, 7) [x, y, z, l, w, h, yaw] of deltas x, y, z, h, w, l, yaw.

    See docs/network.md, "Post-processing".
    """
    diagonal = torch.sqrt(anchors[:, 3] ** 2 + anchors[:, 4] ** 2)
    return torch.stack(
        [
            deltas[:, 0] * diagonal + anchors[:, 0],
            deltas[:, 1] * diagonal + anchors[:, 1],
            deltas[:, 2] * anchors[:, 5] + anchors[:, 2],
            torch.exp(deltas[:, 5]) * anchors[:, 3],
            torch.exp(deltas[:, 4]) * anchors[:, 4],
            torch.exp(deltas[:, 3]) * anchors[:, 5],
            deltas[:, 6] + anchors[:, 6],
        ],
        dim=1,
    )


def plain_detect(
    cls: torch.Tensor,
    reg: torch.Tensor,
    direction: torch.Tensor,
    anchors: torch.Tensor,
    config: DetectionConfig,
) -> Detections:
    """Detect from the heads' outputs (1, channels, H, W) as such networks usually do.

    Args:
        cls: logits.
        reg: box deltas.
        direction: logits of the two headings.
        anchors: (H * W * A, 7) in flat order.
        config: thresholds; the same as this package's post-processing uses.
    """
    per_cell = reg.shape[1] // 7
    flat = cls.permute(0, 2, 3, 1).reshape(-1, cls.shape[1] // per_cell)
    scores, labels = torch.sigmoid(flat).max(dim=1)
    thresholds = torch.from_numpy(config.thresholds(flat.shape[1]))
    chosen = torch.nonzero(scores > thresholds[labels]).flatten()
    if len(chosen) > config.max_candidates:
        best = scores[chosen].topk(config.max_candidates).indices
        chosen = chosen[best.sort().values]
    deltas = reg.permute(0, 2, 3, 1).reshape(-1, 7)[chosen]
    boxes = decode(deltas, anchors[chosen])
    if config.use_direction:
        bins = direction.permute(0, 2, 3, 1).reshape(-1, 2)[chosen].argmax(dim=1)
        turned = torch.remainder(boxes[:, 6] - 0.7853, torch.pi) + 0.7853 + torch.pi * bins
        boxes[:, 6] = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
    found = Detections(
        boxes.numpy(), scores[chosen].numpy(), (labels[chosen] + 1).numpy().astype(np.int32)
    )
    own = config.rivals(found.labels)
    kept = found.select(polygon_nms(found.boxes, found.scores, config.nms_threshold, own))
    return kept.select(in_range(kept.boxes, config))
