# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One agent's pose and labels at one time, as V2X-Real, OPV2V and V2V4Real store them in yaml.

The formats are the same but for the name of the roadside flag (`infra`, `RSU`), for `obj_type`,
which OPV2V lacks, and for the pose, which V2V4Real stores as a matrix.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from quantv2x_ros.core.geometry.pose import PoseError, v2x_from_matrix
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.file_content import read_content

_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PYTHON = "tag:yaml.org,2002:python/"
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and from NumPy 2
_NUMBER = re.compile(r"[<>=|]?(f[248]|[iu][1248]|b1)")
_MOST_DIMENSIONS = 8


class NumericLoader(_BASE):  # type: ignore[misc, valid-type]
    """PyYAML's safe loader, and arrays, scalars and tuples of numbers."""


def _refuse(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _call(loader: Any, node: yaml.Node) -> tuple[list[Any], Any]:
    """Return arguments and state of `python/object/apply`."""
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True), None
    if not isinstance(node, yaml.MappingNode):
        raise _refuse(node, f"{node.tag} must hold arguments")
    content = loader.construct_mapping(node, deep=True)
    arguments = content.get("args", [])
    return (arguments if isinstance(arguments, list) else [arguments]), content.get("state")


def _tuple(loader: Any, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _refuse(node, "a tuple must be a sequence")
    return tuple(loader.construct_sequence(node, deep=True))


def _dtype(loader: Any, node: yaml.Node) -> np.dtype[Any]:
    """Make a type of numbers; no strings, objects or records."""
    arguments, state = _call(loader, node)
    name = arguments[0] if arguments else None
    if not isinstance(name, str) or not _NUMBER.fullmatch(name):
        raise _refuse(node, f"an array of {name!r} is no array of numbers")
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if order not in ("<", ">", "|", "="):
        raise _refuse(node, f"byte order {order!r} is unknown")
    return np.dtype(f"{order}{name.lstrip('<>=|')}")


def _array(loader: Any, node: yaml.Node) -> np.ndarray[Any, Any]:
    """Make an array of shape, element type and bytes: state of `_reconstruct`."""
    _, state = _call(loader, node)
    if not isinstance(state, tuple) or len(state) != 5:
        raise _refuse(node, "an array must have version, shape, type, order and data")
    _, shape, dtype, is_fortran, data = state
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes):
        raise _refuse(node, "an array must have a type of numbers, and bytes")
    is_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape or len(shape) > _MOST_DIMENSIONS:
        raise _refuse(node, f"shape {shape!r} is none")
    expected = dtype.itemsize
    for length in shape:
        expected *= length
    if expected != len(data):
        raise _refuse(node, f"shape {shape} of {dtype} needs {expected} bytes, got {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _scalar(loader: Any, node: yaml.Node) -> float | int | bool:
    arguments, _ = _call(loader, node)
    if (
        len(arguments) != 2
        or not isinstance(arguments[0], np.dtype)
        or not isinstance(arguments[1], bytes)
        or len(arguments[1]) != arguments[0].itemsize
    ):
        raise _refuse(node, "a scalar must have a type of numbers, and its bytes")
    value: float | int | bool = np.frombuffer(arguments[1], arguments[0])[0].item()
    return value


NumericLoader.add_constructor(f"{_PYTHON}tuple", _tuple)
NumericLoader.add_constructor(f"{_PYTHON}name:numpy.ndarray", lambda loader, node: "numpy.ndarray")
NumericLoader.add_constructor(f"{_PYTHON}object/apply:numpy.dtype", _dtype)
for _module in _MODULES:
    NumericLoader.add_constructor(f"{_PYTHON}object/apply:{_module}._reconstruct", _array)
    NumericLoader.add_constructor(f"{_PYTHON}object/apply:{_module}.scalar", _scalar)


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
        speed: Speed of the agent in the file's unit (km/h), `None` where the file has no such
            number (V2V4Real has a vector); nothing depends on it.
        has_matrix: Whether the file gives the pose as a (4, 4) matrix, as V2V4Real does.
    """

    lidar_pose: tuple[float, ...]
    objects: tuple[ObjectRecord, ...]
    infrastructure: bool | None
    speed: float | None
    has_matrix: bool = False


def read_agent_yaml(path: str | Path) -> AgentRecord:
    """Read one agent's pose and labels, V2X-Real, OPV2V or V2V4Real.

    Args:
        path: The `.yaml` or `.yml` file.

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
    pose, has_matrix = _pose(path, document["lidar_pose"])
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
    return AgentRecord(
        lidar_pose=pose,
        objects=objects,
        infrastructure=infrastructure,
        speed=_speed(document.get("ego_speed")),
        has_matrix=has_matrix,
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
    remedy = "Restore the yaml from the dataset: without its lidar_pose the cloud has no place"
    try:
        text = read_content(path, "the labels", remedy).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(
            path, f"it is not UTF-8 text ({error.reason})", "Restore the yaml from the dataset"
        ) from error
    try:
        document = yaml.load(text, Loader=NumericLoader)
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


def _pose(path: str | Path, value: Any) -> tuple[tuple[float, ...], bool]:
    """Return x, y, z, roll, yaw, pitch, and whether they were given as a matrix."""
    is_nested = isinstance(value, np.ndarray) and value.ndim == 2
    if isinstance(value, (list, tuple)):
        is_nested = any(isinstance(row, (list, tuple, np.ndarray)) for row in value)
    if not is_nested:
        return _numbers(path, value, 6, "lidar_pose"), False
    try:
        matrix = [finite_floats(row, 4, "each row of lidar_pose") for row in value]
        return tuple(float(number) for number in v2x_from_matrix(matrix)), True
    except (PoseError, ValueError) as error:
        raise DatasetError(
            path,
            f"lidar_pose is neither 6 numbers nor a 4 x 4 matrix of a pose ({error})",
            "Restore the yaml from the dataset",
        ) from error


def _speed(value: Any) -> float | None:
    """Return a speed where there is one: any other content does no harm."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        return float(value) if is_number and math.isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


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
