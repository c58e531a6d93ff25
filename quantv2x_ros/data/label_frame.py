# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which frame the labels of a file are in: V2X-Real's and OPV2V's in the map, V2V4Real's not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.pose import invert, transform_points
from quantv2x_ros.data.agent_yaml import AgentRecord

#: Objects that somebody has labelled in a cloud are this near, metres.
_FAR = 200.0
#: And their centres this high above a LiDAR on a roof at most, and so far below it, metres.
_ABOVE, _BELOW = 0.5, 6.0


def labels_to_map(
    record: AgentRecord, lidar_to_map: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Return the (4, 4) transform from the frame of a file's labels; `None` if that is the map's.

    Files with a pose as a matrix (V2V4Real) have their labels in the LiDAR's own frame. Should most
    of them lie where no LiDAR on a vehicle sees anything, but near it as seen from the map, they
    are in the map's frame after all.

    Args:
        record: Pose and labels of an agent.
        lidar_to_map: (4, 4) the pose.
    """
    if not record.has_matrix or not record.objects:
        return None
    places = np.array([item.location for item in record.objects], dtype=np.float64)
    in_lidar = _plausible(places)
    in_map = _plausible(transform_points(places, invert(lidar_to_map)))
    return lidar_to_map if in_lidar >= in_map else None


def _plausible(places: npt.NDArray[np.float64]) -> int:
    """Count objects that a LiDAR at the origin may have seen."""
    near = np.hypot(places[:, 0], places[:, 1]) < _FAR
    return int((near & (places[:, 2] > -_BELOW) & (places[:, 2] < _ABOVE)).sum())
