# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame in which the model sees the clouds: by parameters, or by TF."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, placement_of
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.parameters import declare
from quantv2x_ros.nodes.encoder.transform_tree import TransformTree

#: What the frame is called that ``cloud_mount`` leads to, behind the name of the one it is in.
LIDAR_SUFFIX = "_lidar"


@dataclass(frozen=True, eq=False)
class CloudPlace:
    """The placement of a cloud.

    Attributes:
        placement: transform to the frame that the model sees the cloud in, and the scale.
        frame: name of the frame that the model sees.
        fixed: placement by the parameters alone, without TF.
        cloud_frame: name of the frame that the cloud came in.
    """

    placement: CloudPlacement
    frame: str
    fixed: CloudPlacement
    cloud_frame: str


class CloudFrame:
    """Finds the placement of clouds in the LiDAR frame that the model expects."""

    def __init__(self, node: BaseNode, tree: TransformTree) -> None:
        """Declare the parameters.

        Args:
            node: node that declares the parameters.
            tree: TF as this node sees it.

        Raises:
            ValueError: for a parameter that cannot be used, or TF where tf2_ros is not installed.
        """
        extrinsics = declare(
            node,
            "cloud_mount",
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            "Where the frame that the model expects (x forward, y left, z up, a LiDAR's height "
            "above the ground) is in the clouds' frame, or in lidar_frame: x, y, z [m], roll, "
            "pitch, yaw [degrees]; all 0: it is that frame.",
        )
        scale = declare(
            node,
            "cloud_scale",
            1.0,
            "Metres in a unit of the clouds: 0.001 for millimetres.",
            low=1e-6,
            high=1e6,
        )
        self._fixed = placement_of(extrinsics, scale)
        self._lidar_frame = declare(
            node,
            "lidar_frame",
            "",
            "Frame that clouds are brought to by TF (needs tf2_ros), before cloud_mount; empty: "
            "they stay in their own.",
        )
        self._tree = tree
        if self._lidar_frame:
            tree.require(f"lidar_frame ({self._lidar_frame})", "give the extrinsics as cloud_mount")

    def at(self, stamp_ns: int, frame: str) -> CloudPlace:
        """Return the placement of a cloud.

        Args:
            stamp_ns: time, nanoseconds.
            frame: name of the cloud's frame.

        Raises:
            PoseUnavailableError: where TF does not know it.
        """
        placement, base = self._fixed, frame
        if self._lidar_frame and self._lidar_frame != frame:
            lidar = self._tree.lookup(frame, self._lidar_frame, stamp_ns)
            placement, base = (
                replace(placement, extrinsics=lidar @ placement.extrinsics),
                self._lidar_frame,
            )
        name = base + LIDAR_SUFFIX if self._fixed.is_moved else base
        return CloudPlace(placement, name, self._fixed, frame)
