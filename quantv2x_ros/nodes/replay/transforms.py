# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms for RViz: the poses of the replayed sensors as ``/tf``; needs tf2_msgs."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped, Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

try:
    from tf2_msgs.msg import TFMessage

    TRANSFORM_MESSAGE: Any = TFMessage
except ImportError:  # a package that comes with RViz, but not with rclpy
    TRANSFORM_MESSAGE = None

#: Another name of the ego's LiDAR frame, the same for every recording.
EGO_FRAME = "ego"


class TransformPublisher:
    """Publishes map → LiDAR for every agent, and LiDAR → `EGO_FRAME` for the ego."""

    def __init__(self, node: Node, ego_topic: str) -> None:
        """Create the publisher.

        Args:
            node: node that publishes.
            ego_topic: name of the topic of the ego's clouds.
        """
        profile = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self._publisher = node.create_publisher(TFMessage, "/tf", profile)
        self._ego_topic = ego_topic
        self._poses: dict[str, PoseWithCovarianceStamped] = {}

    def note(self, topic: str, message: Any) -> None:
        """Note a published message; at a cloud its agent's transform is published.

        Args:
            topic: name of its topic, ending in ``points`` or ``pose``.
            message: a ROS message, or a serialized one.
        """
        agent, _, name = topic.rpartition("/")
        if name == "pose":
            self._poses[agent] = _read(message, PoseWithCovarianceStamped)
        elif name == "points" and agent in self._poses:
            frame = _read(message, PointCloud2).header.frame_id
            transforms = [_transform(self._poses[agent], frame)]
            if topic == self._ego_topic:
                header = Header(stamp=self._poses[agent].header.stamp, frame_id=frame)
                transforms.append(TransformStamped(header=header, child_frame_id=EGO_FRAME))
                transforms[-1].transform.rotation.w = 1.0
            self._publisher.publish(TFMessage(transforms=transforms))


def _read(message: Any, message_type: Any) -> Any:
    return deserialize_message(message, message_type) if isinstance(message, bytes) else message


def _transform(pose: PoseWithCovarianceStamped, frame: str) -> TransformStamped:
    position = pose.pose.pose.position
    return TransformStamped(
        header=pose.header,
        child_frame_id=frame,
        transform=Transform(
            translation=Vector3(x=position.x, y=position.y, z=position.z),
            rotation=pose.pose.pose.orientation,
        ),
    )
