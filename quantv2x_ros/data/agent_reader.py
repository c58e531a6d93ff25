# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One agent of a scenario at one time, of its two files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import PoseError, invert, matrix_from_v2x, transform_points
from quantv2x_ros.data.agent_yaml import AgentRecord, ObjectRecord, read_agent_yaml
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import AgentFrame, WorldObject
from quantv2x_ros.data.layout import AgentFiles, has_suffix
from quantv2x_ros.data.v2x_real import CLASSES, OBJECT_TYPES

#: Objects that somebody has labelled in a cloud are this near, metres.
_FAR = 200.0
#: And their centres this high above a LiDAR on a roof at most, and so far below it, metres.
_ABOVE, _BELOW = 0.5, 6.0


def labels_to_map(
    record: AgentRecord, lidar_to_map: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Return the (4, 4) transform from the frame of a file's labels; `None` if that is the map's.

    Files with a pose as a matrix (V2V4Real) have their labels in the LiDAR's own frame. Should most
    of them lie where no LiDAR on a vehicle sees anything, but near it as seen from the map, they
    are in the map's frame after all.

    Args:
        record: Pose and labels of an agent.
        lidar_to_map: (4, 4) the pose.
    """
    if not record.has_matrix or not record.objects:
        return None
    places = np.array([item.location for item in record.objects], dtype=np.float64)
    in_lidar = _plausible(places)
    in_map = _plausible(transform_points(places, invert(lidar_to_map)))
    return lidar_to_map if in_lidar >= in_map else None


def _plausible(places: npt.NDArray[np.float64]) -> int:
    """Count objects that a LiDAR at the origin may have seen."""
    near = np.hypot(places[:, 0], places[:, 1]) < _FAR
    return int((near & (places[:, 2] > -_BELOW) & (places[:, 2] < _ABOVE)).sum())


def read_agent(agent: str, files: AgentFiles) -> AgentFrame:
    """Read an agent's pose and labels; its cloud is read when asked for.

    Raises:
        DatasetError: If the labels are damaged.
    """
    record = read_agent_yaml(files.labels)
    try:
        pose = matrix_from_v2x(record.lidar_pose)
    except PoseError as error:
        raise DatasetError(files.labels, str(error), "Correct lidar_pose") from error
    infrastructure = is_infrastructure(record, agent)
    labelled = [(item, label_of(item, files)) for item in record.objects]
    frame = labels_to_map(record, pose)
    objects = tuple(
        WorldObject.from_record(item, label, frame) for item, label in labelled if label is not None
    )
    return AgentFrame(agent, infrastructure, pose, files.cloud, objects)


def is_infrastructure(record: AgentRecord, agent: str) -> bool:
    """Tell whether an agent is a roadside unit; by its negative number where its yaml is silent."""
    if record.infrastructure is None:
        return agent.startswith("-")
    return record.infrastructure


def label_of(record: ObjectRecord, files: AgentFiles) -> int | None:
    """Return the 1-based class of an object, `None` for types that do not count.

    OPV2V (`.pcd`) labels vehicles only and names no type.

    Raises:
        DatasetError: If a V2X-Real object has no type.
    """
    if record.obj_type is not None:
        name = OBJECT_TYPES.get(record.obj_type)
        return None if name is None else CLASSES.index(name) + 1
    if has_suffix(files.cloud, (".bin",)):
        raise DatasetError(
            files.labels,
            f"object {record.object_id} has no obj_type",
            f"Add it: {', '.join(OBJECT_TYPES)}",
        )
    return CLASSES.index("vehicle") + 1
