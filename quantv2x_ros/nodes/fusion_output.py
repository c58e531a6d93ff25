# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the fusion node publishes of a fused frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.nodes import objects, qos
from quantv2x_ros.nodes.conversions import time_message
from quantv2x_ros.nodes.fusion_worker import Outcome
from quantv2x_ros.nodes.markers import FusedAgent, fusion_markers


class FusionOutput:
    """The publishers of ``objects``, ``markers`` and, where vision_msgs is, ``detections``."""

    def __init__(self, node: Node, classes: Sequence[str], grid: BevGrid) -> None:
        """Create the publishers.

        Args:
            node: whose they are.
            classes: names; a detection's label is the 1-based index.
            grid: of the maps that are fused.
        """
        self._classes = classes
        self._grid = grid
        self._objects = node.create_publisher(DetectedObject3DArray, "objects", qos.output())
        self._markers = node.create_publisher(MarkerArray, "markers", qos.output())
        self._detections = (
            node.create_publisher(objects.VISION_MESSAGE, "detections", qos.output())
            if objects.VISION_MESSAGE is not None
            else None
        )

    def publish(self, outcome: Outcome) -> None:
        """Publish a frame; markers only where somebody looks at them."""
        ego = outcome.sweeps[0]
        ages = [ego.stamp_ns - sweep.stamp_ns for sweep in outcome.sweeps]
        frame = objects.FusedFrame(
            header=Header(stamp=time_message(ego.stamp_ns), frame_id=ego.frame_id),
            classes=self._classes,
            detections=outcome.result.detections,
            stations=[sweep.station_id for sweep in outcome.sweeps],
            ages=ages,
            contributors=[np.flatnonzero(row).tolist() for row in outcome.result.contributions],
            to_frame=ego.to_frame,
        )
        self._objects.publish(objects.objects_message(frame))
        if self._markers.get_subscription_count():
            agents = [
                FusedAgent(sweep.station_id, pose, age / 1e9, self._grid.footprint(pose))
                for sweep, pose, age in zip(outcome.sweeps, outcome.agent_to_ego, ages, strict=True)
            ]
            self._markers.publish(fusion_markers(frame, agents))
        if self._detections is not None:
            self._detections.publish(objects.vision_message(frame))
