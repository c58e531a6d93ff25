# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses, grids and boxes, in metres and radians."""

from quantv2x_ros.core.geometry.boxes import BoxError
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.geometry.pose import PoseError, PoseUncertaintyError
from quantv2x_ros.core.geometry.pose_buffer import PoseBuffer, PoseUnavailableError
from quantv2x_ros.core.geometry.transform_history import TransformHistory

__all__ = [
    "BevGrid",
    "BoxError",
    "PoseBuffer",
    "PoseError",
    "PoseSpread",
    "PoseUnavailableError",
    "PoseUncertaintyError",
    "TransformHistory",
]
