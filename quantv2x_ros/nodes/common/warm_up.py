# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""First runs, which compile kernels and fill buffers, before the first sweep arrives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import nms, vote
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder

#: The second run is the first one at full speed.
_RUNS = 2


def warm_up_encoder(encoder: AgentEncoder) -> None:
    """Encode a cloud with one point in the middle of the grid, and pack it."""
    low = np.array(encoder.bundle.range[:3])
    high = np.array(encoder.bundle.range[3:])
    cloud = np.zeros((1, 4), np.float32)
    cloud[0, :3] = (low + high) / 2
    entropy_model = encoder.bundle.entropy_model
    for _ in range(_RUNS):
        encode_indices(encoder.encode(cloud).indices, entropy_model)


def warm_up_detector(detector: CooperativeDetector) -> None:
    """Fuse empty maps of as many agents as take part at most, and suppress two boxes."""
    bundle = detector.bundle
    background = bundle.background
    indices = np.empty((len(background), *bundle.grid.shape), np.uint8)
    indices[:] = background[:, None, None]
    entropy_model = bundle.entropy_model
    decode_indices(encode_indices(indices, entropy_model), entropy_model, indices.shape)
    own = bundle.own_feature
    if own is not None:
        empty = np.zeros((*bundle.grid.shape, len(own.offset)), own.dtype)
        detector.own_pyramid(own(empty))
    received = np.ones(bundle.grid.shape, np.bool_)
    received[0] = False
    for pose in _poses(bundle.grid.lidar_range[3]):
        detector.pyramid(indices, received, pose)
    for _ in range(_RUNS):
        pyramids = [detector.pyramid(indices), detector.pyramid(indices, received)]
        agents = min(2, bundle.max_agents)
        detector.fuse(pyramids[:agents], np.tile(np.eye(4), (agents, 1, 1)))
    boxes = np.tile(np.array([0, 0, 0, 4, 2, 2, 0], np.float32), (2, 1))
    scores = np.array([0.9, 0.8], np.float32)
    kept = nms(boxes, scores, bundle.detection.nms_threshold)
    vote(kept, boxes, scores, np.ones(2, np.int32), bundle.detection.vote_threshold)


def _poses(reach: float) -> list[npt.NDArray[np.float64]]:
    """Return (4, 4) transforms to agents further and further ahead, of whom less and less matters.

    Args:
        reach: of the grid, metres.
    """
    poses = [np.eye(4) for _ in range(6)]
    for number, pose in enumerate(poses):
        pose[0, 3] = -0.3 * number * reach
    return poses
