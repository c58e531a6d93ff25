# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A dataset's contents as serialized ROS messages, without ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import quaternion_from_matrix
from quantv2x_ros.data.frame import WorldObject
from quantv2x_ros.data.message_types import message_types, serialize

POINTS_TYPE = "sensor_msgs/msg/PointCloud2"
POSE_TYPE = "geometry_msgs/msg/PoseWithCovarianceStamped"
TRANSFORM_TYPE = "tf2_msgs/msg/TFMessage"
MARKERS_TYPE = "visualization_msgs/msg/MarkerArray"
MAP_FRAME = "map"

_FLOAT32 = 7  # sensor_msgs/msg/PointField.FLOAT32
_CUBE, _ADD, _DELETE_ALL = 1, 0, 3  # visualization_msgs/msg/Marker
_TRUTH_COLOUR = (1.0, 1.0, 1.0, 0.25)


def serialize_cloud(points: npt.NDArray[np.float32], frame_id: str, stamp: int) -> bytes:
    """Return points (P, 4) x, y, z, intensity as a serialized PointCloud2."""
    types = message_types().types
    field = types["sensor_msgs/msg/PointField"]
    rows = np.ascontiguousarray(points, dtype="<f4")
    message = types[POINTS_TYPE](
        header=header(frame_id, stamp),
        height=1,
        width=len(rows),
        fields=[
            field(name=name, offset=4 * index, datatype=_FLOAT32, count=1)
            for index, name in enumerate(("x", "y", "z", "intensity"))
        ],
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(rows),
        data=rows.view(np.uint8).reshape(-1),
        is_dense=True,
    )
    return serialize(POINTS_TYPE, message)


def serialize_pose(pose: npt.NDArray[np.float64], stamp: int) -> bytes:
    """Return a (4, 4) sensor_to_map as a serialized PoseWithCovarianceStamped.

    The covariance is all zeros, "unknown": the datasets have none.
    """
    types = message_types().types
    x, y, z, w = (float(value) for value in quaternion_from_matrix(pose))
    position = types["geometry_msgs/msg/Point"](*(float(value) for value in pose[:3, 3]))
    orientation = types["geometry_msgs/msg/Quaternion"](x, y, z, w)
    message = types[POSE_TYPE](
        header=header(MAP_FRAME, stamp),
        pose=types["geometry_msgs/msg/PoseWithCovariance"](
            pose=types["geometry_msgs/msg/Pose"](position, orientation),
            covariance=np.zeros(36),
        ),
    )
    return serialize(POSE_TYPE, message)


def serialize_transforms(poses: Mapping[str, npt.NDArray[np.float64]], stamp: int) -> bytes:
    """Return where sensors are in the map as a serialized TFMessage.

    Args:
        poses: (4, 4) sensor_to_map by the sensor's frame.
        stamp: nanoseconds.
    """
    types = message_types().types
    transforms = []
    for frame, pose in poses.items():
        place = types["geometry_msgs/msg/Vector3"](*(float(value) for value in pose[:3, 3]))
        turn = types["geometry_msgs/msg/Quaternion"](
            *(float(value) for value in quaternion_from_matrix(pose))
        )
        transforms.append(
            types["geometry_msgs/msg/TransformStamped"](
                header=header(MAP_FRAME, stamp),
                child_frame_id=frame,
                transform=types["geometry_msgs/msg/Transform"](place, turn),
            )
        )
    return serialize(TRANSFORM_TYPE, types[TRANSFORM_TYPE](transforms))


def serialize_truth(objects: Sequence[WorldObject], names: Sequence[str], stamp: int) -> bytes:
    """Return labelled objects as a serialized MarkerArray of boxes in the map frame.

    Args:
        objects: objects of one frame.
        names: names of the classes; a label is the 1-based index.
        stamp: nanoseconds.
    """
    types = message_types().types
    markers = [_marker(stamp, "", 0, _DELETE_ALL)]
    for item in objects:
        cube = _marker(stamp, f"truth/{names[item.label - 1]}", item.object_id, _ADD)
        x, y, z = (float(value) for value in item.object_to_map[:3, 3])
        cube.pose.position = types["geometry_msgs/msg/Point"](x, y, z)
        turn = (float(value) for value in quaternion_from_matrix(item.object_to_map))
        cube.pose.orientation = types["geometry_msgs/msg/Quaternion"](*turn)
        cube.scale = types["geometry_msgs/msg/Vector3"](*(float(value) for value in item.size))
        markers.append(cube)
    return serialize(MARKERS_TYPE, types[MARKERS_TYPE](markers))


def _marker(stamp: int, namespace: str, number: int, action: int) -> Any:
    """A white box of no size."""
    types = message_types().types
    point, vector = types["geometry_msgs/msg/Point"], types["geometry_msgs/msg/Vector3"]
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    duration = types["builtin_interfaces/msg/Duration"](0, 0)
    image = types["sensor_msgs/msg/CompressedImage"]
    return types["visualization_msgs/msg/Marker"](
        header=header(MAP_FRAME, stamp),
        ns=namespace,
        id=number % 2**31,
        type=_CUBE,
        action=action,
        pose=types["geometry_msgs/msg/Pose"](point(0.0, 0.0, 0.0), turn),
        scale=vector(0.0, 0.0, 0.0),
        color=types["std_msgs/msg/ColorRGBA"](*_TRUTH_COLOUR),
        lifetime=duration,
        frame_locked=False,
        points=[],
        colors=[],
        texture_resource="",
        texture=image(header(MAP_FRAME, stamp), "", np.empty(0, np.uint8)),
        uv_coordinates=[],
        text="",
        mesh_resource="",
        mesh_file=types["visualization_msgs/msg/MeshFile"]("", np.empty(0, np.uint8)),
        mesh_use_embedded_materials=False,
    )


def header(frame_id: str, stamp: int) -> Any:
    """Return a std_msgs/Header; the stamp in nanoseconds."""
    types = message_types().types
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)
