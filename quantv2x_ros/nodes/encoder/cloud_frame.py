# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame in which the model sees the clouds: by parameters, or by TF."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, placement_of
from quantv2x_ros.graph.parameters.encoder import CloudParameters
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

    def __init__(self, parameters: CloudParameters, tree: TransformTree) -> None:
        """Read the parameters.

        Args:
            parameters: how clouds lie.
            tree: of this node.

        Raises:
            ValueError: for a parameter that cannot be used, or TF where tf2_ros is not installed.
        """
        self._fixed = placement_of(parameters.cloud_mount, parameters.cloud_scale)
        self._lidar_frame = parameters.lidar_frame
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
