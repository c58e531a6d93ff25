# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a cloud seems to lie otherwise than the model expects, as the encoder node says it."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.core.placement.cloud_extent import misplacement
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.ground_check import ground_fault, ground_of
from quantv2x_ros.inference.protocol import Cloud


def cloud_note(points: Cloud, lidar_range: Sequence[float], placement: CloudPlacement) -> str:
    """Return what seems to be wrong with a cloud and the options that mend it; empty: nothing.

    Args:
        points: (P, 4) as placed, and neither levelled nor turned.
        lidar_range: Of the model, x, y, z minimum, then maximum, metres.
        placement: How it was placed.
    """
    remedy = PlacementRemedy(placement, of_command=True)
    place = misplacement(points, lidar_range, remedy)
    if place:
        return place
    plane = ground_of(points)
    return "" if plane is None else ground_fault(plane, remedy)
