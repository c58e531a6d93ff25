# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a cloud lies: its mount, its ground, its level."""

from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.ground_check import GroundCheck
from quantv2x_ros.core.placement.ground_plane import GroundPlane
from quantv2x_ros.core.placement.heading_check import HeadingCheck
from quantv2x_ros.core.placement.levelling import Levelling, SensorGround

__all__ = [
    "CloudPlacement",
    "GroundCheck",
    "GroundPlane",
    "HeadingCheck",
    "Levelling",
    "PlacementRemedy",
    "SensorGround",
]
