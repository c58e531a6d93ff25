# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns a dataset's scenario into a rosbag2 recording of sweeps and poses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.pose import quaternion_from_matrix
from quantv2x_ros.data.agent_names import agent_namespace
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.message_types import message_types, serialize
from quantv2x_ros.data.scenario import FRAME_PERIOD, Scenario

POINTS_TYPE = "sensor_msgs/msg/PointCloud2"
POSE_TYPE = "geometry_msgs/msg/PoseWithCovarianceStamped"
MAP_FRAME = "map"
START_STAMP = 1_600_000_000_000_000_000
"""Stamp of a scenario's first frame, nanoseconds: the datasets do not tell the time of day, and
zero would mean "no time" in ROS."""

_FLOAT32 = 7  # sensor_msgs/msg/PointField.FLOAT32


def points_topic(agent: str) -> str:
    """Return the topic of an agent's sweeps (PointCloud2)."""
    return f"/{agent_namespace(agent)}/points"


def pose_topic(agent: str) -> str:
    """Return the topic of an agent's sensor_to_map poses (PoseWithCovarianceStamped)."""
    return f"/{agent_namespace(agent)}/pose"


def lidar_frame(agent: str) -> str:
    """Return the frame id of an agent's LiDAR."""
    return f"{agent_namespace(agent)}/lidar"


def frame_stamp(index: int) -> int:
    """Return the stamp of a scenario's n-th frame, nanoseconds."""
    return START_STAMP + round(index * FRAME_PERIOD * 1e9)


def record_scenario(
    scenario: Scenario,
    path: str | Path,
    storage: str = "mcap",
    progress: Callable[[], object] | None = None,
) -> int:
    """Write a scenario's sweeps and poses as a bag.

    Args:
        scenario: What to record.
        path: Folder of the new bag.
        storage: `mcap` or `sqlite3`.
        progress: Called after every frame.

    Returns:
        Number of messages.

    Raises:
        DatasetError: If the scenario is damaged, or the bag exists already.
    """
    count = 0
    with BagWriter(path, storage) as bag:
        for agent in scenario.agents:
            bag.add_topic(points_topic(agent), POINTS_TYPE)
            bag.add_topic(pose_topic(agent), POSE_TYPE)
        for index, frame in enumerate(scenario.frames()):
            stamp = frame_stamp(index)
            for agent, item in frame.agents.items():
                # the pose first, so that a replay has it when the sweep comes
                bag.write(pose_topic(agent), stamp, serialize_pose(item.pose, stamp))
                cloud = serialize_cloud(item.points, lidar_frame(agent), stamp)
                bag.write(points_topic(agent), stamp, cloud)
                count += 2
            if progress is not None:
                progress()
    return count


def serialize_cloud(points: npt.NDArray[np.float32], frame_id: str, stamp: int) -> bytes:
    """Return points (P, 4) x, y, z, intensity as a serialized PointCloud2."""
    types = message_types().types
    field = types["sensor_msgs/msg/PointField"]
    rows = np.ascontiguousarray(points, dtype="<f4")
    message = types[POINTS_TYPE](
        header=_header(frame_id, stamp),
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
        header=_header(MAP_FRAME, stamp),
        pose=types["geometry_msgs/msg/PoseWithCovariance"](
            pose=types["geometry_msgs/msg/Pose"](position, orientation),
            covariance=np.zeros(36),
        ),
    )
    return serialize(POSE_TYPE, message)


def _header(frame_id: str, stamp: int) -> Any:
    types = message_types().types
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)
