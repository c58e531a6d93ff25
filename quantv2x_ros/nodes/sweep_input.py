# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a received cloud to the points that the model is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from quantv2x_ros.core.cloud import outside_box
from quantv2x_ros.core.cloud_placement import CloudPlacement
from quantv2x_ros.nodes.parameters import declare
from quantv2x_ros.nodes.point_cloud import cloud_from_message


class SweepInput:
    """Reads clouds as its node's parameters say."""

    def __init__(self, node: Node) -> None:
        """Declare the parameters.

        Args:
            node: whose parameters they are.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._logger = node.get_logger()
        self._warned_of_intensity = False
        self._lost = ""
        self._crop = declare(
            node, "crop_ego_body", True, "Drop the points on the own vehicle (ego_body_box)."
        )
        self._body = declare(
            node,
            "ego_body_box",
            [-1.95, -1.1, 2.95, 1.1],
            "Where the LiDAR sees its own vehicle: minimum x, y, maximum x, y [m], in the frame "
            "that the model sees clouds in (cloud_mount).",
        )
        outside_box(np.empty((0, 4), np.float32), self._body)  # refuse a bad box now, not later
        self._use_intensity = declare(
            node,
            "use_intensity",
            False,
            "Give the model the cloud's intensity, for a model trained so; else it is set to 0, "
            "as in V2X-Real.",
        )

    def points(self, message: PointCloud2, placement: CloudPlacement) -> npt.NDArray[np.float32]:
        """Return the points (P, 4) of a cloud as the model sees them, without the own vehicle.

        Args:
            message: as received.
            placement: how it lies to the frame that the model sees it in.

        Raises:
            CloudError: for a cloud that cannot be read.
        """
        cloud = cloud_from_message(message, use_intensity=self._use_intensity)
        if self._use_intensity and not cloud.has_intensity and not self._warned_of_intensity:
            self._warned_of_intensity = True
            self._logger.warning("the cloud has no field intensity; it counts as 0")
        total = len(cloud.points) + cloud.dropped
        self._lost = (
            f"intensity is not finite in {cloud.dropped_for_intensity:,} of {total:,} points, and "
            "they are left out for it; set use_intensity: false, or correct the driver"
            if 2 * cloud.dropped_for_intensity > total
            else ""
        )
        points = placement.apply(cloud.points)
        return outside_box(points, self._body) if self._crop else points

    def findings(self) -> Mapping[str, str]:
        """Return what is wrong with the newest cloud's intensity; see `BaseNode.findings`."""
        return {"intensity": self._lost} if self._lost else {}
