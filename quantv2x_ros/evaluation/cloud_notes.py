# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Notes on clouds that lie otherwise than the model expects, as in the encoder node."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.core.placement.cloud_extent import misplacement
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.ground_check import ground_fault, ground_of
from quantv2x_ros.inference.protocol import Cloud


def cloud_note(points: Cloud, lidar_range: Sequence[float], placement: CloudPlacement) -> str:
    """Word what seems wrong with a cloud, and the options that correct it; empty for nothing.

    Args:
        points: (P, 4) points as placed, neither levelled nor turned.
        lidar_range: Range of the model: minimum x, y, z, then maximum, metres.
        placement: Placement that the points were moved by.
    """
    remedy = PlacementRemedy(placement, of_command=True)
    place = misplacement(points, lidar_range, remedy)
    if place:
        return place
    plane = ground_of(points)
    return "" if plane is None else ground_fault(plane, remedy)
