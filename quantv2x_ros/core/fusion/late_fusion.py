# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Late fusion: the agents' own boxes, in one frame and at one time, with doubles suppressed.

The baseline of the field, as OPV2V has it (Xu et al., arXiv 2109.07644, section IV): every agent
detects alone, boxes travel, and non-maximum suppression over all of them makes one list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import (
    DetectionConfig,
    Detections,
    in_range,
    is_ego_vehicle,
    nms,
    vote,
)
from quantv2x_ros.core.geometry.boxes import transform_boxes

Float64 = npt.NDArray[np.float64]


def carried(
    detections: Detections, velocities: Float64, to_map: Float64, to_ego: Float64, seconds: float
) -> Detections:
    """Return an agent's boxes in the ego's frame, moved on to the ego's time.

    Args:
        detections: in the agent's frame.
        velocities: (N, 2) over ground, in the axes of the agent's frame, m/s.
        to_map: (4, 4) from the agent's frame to the map, at the time of its sweep.
        to_ego: (4, 4) from the map to the ego's frame.
        seconds: from the agent's sweep to the ego's time.
    """
    in_map = transform_boxes(detections.boxes, to_map)
    in_map[:, :2] += (seconds * velocities @ to_map[:2, :2].T).astype(in_map.dtype)
    return Detections(transform_boxes(in_map, to_ego), detections.scores, detections.labels)


def late_fusion(
    views: Sequence[Detections], config: DetectionConfig
) -> tuple[Detections, npt.NDArray[np.int64]]:
    """Return one list of all agents' boxes, in descending score.

    Args:
        views: by agent, in the ego's frame.
        config: thresholds, range and options, those of a single agent's boxes.

    Returns:
        The boxes that are left, and the number of each among those of all agents.
    """
    boxes = np.concatenate([view.boxes for view in views])
    scores = np.concatenate([view.scores for view in views])
    labels = np.concatenate([view.labels for view in views])
    joined = Detections(boxes, scores, labels)
    best = nms(boxes, scores, config.nms_threshold, config.rivals(labels))
    kept = joined.select(best)
    if config.vote_threshold:
        voted = vote(best, boxes, scores, labels, config.vote_threshold)
        kept = Detections(voted, kept.scores, kept.labels)
    inside = in_range(kept.boxes, config)
    if config.drop_ego:  # the peers see the ego's own body, too
        inside &= ~is_ego_vehicle(kept.boxes)
    return kept.select(inside), best[inside]
