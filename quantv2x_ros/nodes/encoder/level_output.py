# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The levelling of an encoder's clouds by their own ground plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header

from quantv2x_ros.core.geometry.pose import Matrix, invert
from quantv2x_ros.core.placement.levelling import LEVEL_SUFFIX, Levelling
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds, transform_to_message
from quantv2x_ros.nodes.encoder.cloud_frame import CloudPlace


class LevelOutput:
    """Finds the levelled frame of each sweep; the topic ``level`` tells how maps lie to clouds."""

    def __init__(self, node: Node, wanted: bool, bundle: ModelBundle) -> None:
        """Know no ground yet.

        Args:
            node: whose publisher.
            wanted: whether clouds are levelled at all.
            bundle: the model, which knows how high sensors are.
        """
        heights = bundle.sensor_heights
        self._levelling = Levelling(heights) if wanted and heights is not None else None
        self._publisher = node.create_publisher(TransformStamped, "level", qos.output())
        self._unlevelled = 0

    def of(
        self, points: npt.NDArray[np.float32], stamp: Time, place: CloudPlace
    ) -> npt.NDArray[np.float64] | None:
        """Return the (4, 4) transform from the LiDAR's frame to the levelled one.

        Args:
            points: (P, 4) points of a sweep in the frame that the model sees.
            stamp: time of the sweep.
            place: placement of its cloud.

        Returns:
            The transform; None where the cloud stays as it is.
        """
        level = None
        if self._levelling is not None:
            level = self._levelling.update(points, nanoseconds(stamp) / 1e9)
            self._unlevelled += level is None
        extrinsics = place.placement.extrinsics
        if level is not None:
            self._tell(stamp, place, place.frame + LEVEL_SUFFIX, extrinsics @ invert(level))
        elif place.placement.is_moved:
            self._tell(stamp, place, place.frame, extrinsics)
        return level

    def _tell(self, stamp: Time, place: CloudPlace, frame: str, to_cloud: Matrix) -> None:
        """Publish the transform from the frame of a map to that of its cloud."""
        message = TransformStamped(
            header=Header(stamp=stamp, frame_id=place.cloud_frame),
            child_frame_id=frame,
            transform=transform_to_message(to_cloud),
        )
        self._publisher.publish(message)

    def reset(self) -> None:
        """Forget the ground, as after a jump in time."""
        if self._levelling is not None:
            self._levelling.reset()

    def report(self) -> Mapping[str, str]:
        """Return tilt and height of the sensor above the ground, for the diagnostics."""
        if self._levelling is None:
            return {}
        ground = self._levelling.ground
        if ground is None:
            return {"ground": "not found; the cloud is not levelled"}
        return {
            "ground tilt [degrees]": f"{np.degrees(ground.tilt):.1f}",
            "sensor above ground [m]": f"{ground.height:.2f}",
            "sweeps without a ground": str(self._unlevelled),
        }
