# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One agent's pose and labels at one time, as V2X-Real and OPV2V store them in a `.yaml` file.

Both formats are the same but for the name of the roadside flag (`infra`, `RSU`) and `obj_type`,
which OPV2V lacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from quantv2x_ros.data.errors import DatasetError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class ObjectRecord:
    """One object as an agent's yaml describes it.

    Attributes:
        object_id: Identity of the object within the scenario.
        obj_type: Type named by the file, `None` where the file names none (OPV2V).
        location: x, y, z of the object's origin in the map frame, metres.
        center: Offset of the box centre from `location` in the object's own frame, metres.
        angle: Roll, yaw, pitch in degrees.
        extent: Half length, half width, half height, metres.
    """

    object_id: int
    obj_type: str | None
    location: tuple[float, float, float]
    center: tuple[float, float, float]
    angle: tuple[float, float, float]
    extent: tuple[float, float, float]


@dataclass(frozen=True)
class AgentRecord:
    """One agent's yaml.

    Attributes:
        lidar_pose: x, y, z (metres), roll, yaw, pitch (degrees) of the LiDAR in the map frame.
        objects: What the agent's labels hold, in the file's order.
        infrastructure: True for a roadside unit, `None` where the file does not say.
        speed: Speed of the agent in the file's unit (km/h), `None` where absent.
    """

    lidar_pose: tuple[float, ...]
    objects: tuple[ObjectRecord, ...]
    infrastructure: bool | None
    speed: float | None


def read_agent_yaml(path: str | Path) -> AgentRecord:
    """Read one agent's pose and labels, V2X-Real or OPV2V.

    Args:
        path: The `.yaml` file.

    Returns:
        The record; objects of every type, also ignored ones.

    Raises:
        DatasetError: If the file is missing, is not yaml, or lacks or garbles a field.
    """
    document = _load_yaml(path)
    if "lidar_pose" not in document:
        raise DatasetError(
            path,
            f"it has no 'lidar_pose' (keys: {', '.join(map(str, document)) or 'none'})",
            "Restore the file from the dataset",
        )
    pose = _numbers(path, document["lidar_pose"], 6, "lidar_pose")
    vehicles = document.get("vehicles")
    if vehicles is None:
        vehicles = {}
    if not isinstance(vehicles, dict):
        raise DatasetError(
            path,
            f"'vehicles' must map ids to objects, got {type(vehicles).__name__}",
            "Restore the file from the dataset",
        )
    objects = tuple(_read_object(path, key, value) for key, value in vehicles.items())
    infrastructure = document.get("infra", document.get("RSU"))
    if infrastructure is not None and not isinstance(infrastructure, bool):
        raise DatasetError(
            path, f"'infra' must be true or false, got {infrastructure!r}", "Correct the file"
        )
    speed = document.get("ego_speed")
    return AgentRecord(
        lidar_pose=pose,
        objects=objects,
        infrastructure=infrastructure,
        speed=None if speed is None else _numbers(path, [speed], 1, "ego_speed")[0],
    )


def finite_floats(values: Any, count: int, name: str) -> list[float]:
    """Turn a sequence into a list of exactly `count` finite floats.

    Raises:
        ValueError: Naming `name`, if it is something else.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be {count} numbers, got {values!r}") from error
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} must be {count} finite numbers, got {numbers!r}")
    return numbers


def _load_yaml(path: str | Path) -> dict[Any, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(
            path,
            f"the labels cannot be read ({error.strerror})",
            "Restore the yaml from the dataset: without its lidar_pose the cloud has no place",
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            path, f"it is not UTF-8 text ({error.reason})", "Restore the yaml from the dataset"
        ) from error
    try:
        document = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: PyYAML lets that of an impossible date, say, through
        problem = str(error).replace("\n", "; ")
        raise DatasetError(
            path, f"it is not valid yaml ({problem})", "Restore the yaml from the dataset"
        ) from error
    if not isinstance(document, dict):
        raise DatasetError(
            path,
            f"it must hold a mapping, got {type(document).__name__}",
            "Restore the yaml from the dataset",
        )
    return document


def _read_object(path: str | Path, key: Any, value: Any) -> ObjectRecord:
    try:
        object_id = int(key)
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(path, f"object id {key!r} is not a number", "Correct the id") from error
    if not -(2**63) <= object_id < 2**63:
        raise DatasetError(path, f"object id {key!r} has more than 64 bits", "Correct the id")
    if not isinstance(value, dict):
        raise DatasetError(
            path,
            f"object {object_id} must be a mapping, got {type(value).__name__}",
            "Restore the yaml from the dataset",
        )
    missing = [name for name in ("location", "angle", "extent") if name not in value]
    if missing:
        raise DatasetError(
            path,
            f"object {object_id} has no {' and no '.join(missing)}",
            "Restore the yaml from the dataset",
        )
    extent = _triple(path, value["extent"], f"extent of object {object_id}")
    if min(extent) < 0.0:
        raise DatasetError(
            path, f"extent of object {object_id} is negative: {list(extent)}", "Correct the size"
        )
    obj_type = value.get("obj_type")
    return ObjectRecord(
        object_id=object_id,
        obj_type=None if obj_type is None else str(obj_type),
        location=_triple(path, value["location"], f"location of object {object_id}"),
        center=_triple(path, value.get("center", (0, 0, 0)), f"center of object {object_id}"),
        angle=_triple(path, value["angle"], f"angle of object {object_id}"),
        extent=extent,
    )


def _triple(path: str | Path, value: Any, name: str) -> tuple[float, float, float]:
    first, second, third = _numbers(path, value, 3, name)
    return first, second, third


def _numbers(path: str | Path, value: Any, count: int, name: str) -> tuple[float, ...]:
    """Check a list of finite numbers read from a file."""
    try:
        return tuple(finite_floats(value, count, name))
    except ValueError as error:
        raise DatasetError(path, str(error), "Restore the yaml from the dataset") from error
