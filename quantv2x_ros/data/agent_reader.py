# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One agent of a scenario at one time, of its two files."""

from __future__ import annotations

from quantv2x_ros.core.pose import PoseError, matrix_from_v2x
from quantv2x_ros.data.agent_yaml import AgentRecord, ObjectRecord, read_agent_yaml
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import AgentFrame, WorldObject
from quantv2x_ros.data.label_frame import labels_to_map
from quantv2x_ros.data.layout import AgentFiles, has_suffix
from quantv2x_ros.data.v2x_real import CLASSES, OBJECT_TYPES


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
