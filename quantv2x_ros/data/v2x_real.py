# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""V2X-Real on disk: classes, clouds (`.bin`) and labels (`.yaml`) of one agent and time.

The yaml of OPV2V is the same but for its keys `RSU` (instead of `infra`) and objects without
`obj_type`; :func:`read_agent_yaml` reads both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import yaml

from quantv2x_ros.data.errors import DatasetError

CLASSES = ("vehicle", "pedestrian", "truck")
"""Detection classes; labels are 1-based indices into this tuple."""

OBJECT_TYPES: Mapping[str, str] = {
    "LongVehicle": "vehicle",
    "Car": "vehicle",
    "PoliceCar": "vehicle",
    "Child": "pedestrian",
    "RoadWorker": "pedestrian",
    "Pedestrian": "pedestrian",
    "Scooter": "pedestrian",
    "ScooterRider": "pedestrian",
    "Motorcycle": "pedestrian",
    "MotorcyleRider": "pedestrian",  # spelt so in the dataset
    "BicycleRider": "pedestrian",
    "Truck": "truck",
    "Van": "truck",
    "TrashCan": "truck",
    "ConcreteTruck": "truck",
    "Bus": "truck",
}
"""Published map from `obj_type` to class; any other type is ignored."""

EGO_BODY = (-1.95, -1.1, 2.95, 1.1)
"""Where a vehicle's LiDAR sees its own body: minimum x, y, maximum x, y in metres."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_AMBIGUOUS_FLOATS = 1000  # below this, statistics of a .bin cannot tell 4 columns from 5


class WritableObject(Protocol):
    """What :func:`write_agent_frame` needs to know of an object.

    Attributes:
        object_id: Identity of the object, the same in every agent's file.
        obj_type: A key of :data:`OBJECT_TYPES`.
        location: x, y, z of the box centre in the map frame, metres.
        angle: Roll, yaw, pitch in degrees, V2X-Real convention.
        extent: Half length, half width, half height, metres.
    """

    @property
    def object_id(self) -> int: ...  # noqa: D102

    @property
    def obj_type(self) -> str: ...  # noqa: D102

    @property
    def location(self) -> Iterable[float]: ...  # noqa: D102

    @property
    def angle(self) -> Iterable[float]: ...  # noqa: D102

    @property
    def extent(self) -> Iterable[float]: ...  # noqa: D102


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


def write_agent_frame(
    folder: str | Path,
    timestamp: str,
    points: npt.NDArray[np.float32],
    *,
    lidar_pose: Iterable[float],
    objects: Iterable[WritableObject],
    infrastructure: bool,
    speed: float = 0.0,
) -> None:
    """Writes `<timestamp>.bin` and `<timestamp>.yaml` of one agent.

    Args:
        folder: The agent's folder; made where it does not exist.
        timestamp: Name of the frame, six digits in the dataset.
        points: (P, 4) x, y, z, intensity in the agent's LiDAR frame, metres.
        lidar_pose: x, y, z (metres), roll, yaw, pitch (degrees) in the map frame.
        objects: Labelled objects.
        infrastructure: True for a roadside unit.
        speed: Speed of the agent, km/h.

    Raises:
        ValueError: If points or a pose have the wrong shape or are not finite.
    """
    cloud = np.ascontiguousarray(points, dtype="<f4")
    if cloud.ndim != 2 or cloud.shape[1] != 4:
        raise ValueError(f"points must be (P, 4), got {cloud.shape}")
    pose = _finite_floats(lidar_pose, 6, "lidar_pose")
    vehicles: dict[int, dict[str, Any]] = {}
    for item in objects:
        name = f"object {item.object_id}"
        vehicles[int(item.object_id)] = {
            "angle": _finite_floats(item.angle, 3, f"angle of {name}"),
            "attribute": "",
            "center": [0, 0, 0],
            "extent": _finite_floats(item.extent, 3, f"extent of {name}"),
            "location": _finite_floats(item.location, 3, f"location of {name}"),
            "obj_type": str(item.obj_type),
        }
    document = {
        "ego_speed": float(speed),
        "infra": bool(infrastructure),
        "lidar_pose": pose,
        "true_ego_pose": pose,
        "vehicles": vehicles,
    }
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    cloud.tofile(target / f"{timestamp}.bin")
    text = yaml.dump(document, Dumper=_NoAliasDumper, default_flow_style=None, sort_keys=True)
    (target / f"{timestamp}.yaml").write_text(text, encoding="utf-8")


def read_agent_yaml(path: str | Path) -> AgentRecord:
    """Reads one agent's pose and labels, V2X-Real or OPV2V.

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


def read_bin(
    path: str | Path, *, vehicle: bool, columns: int | None = None
) -> npt.NDArray[np.float32]:
    """Reads a V2X-Real cloud.

    Rows with a value that is not finite are dropped, intensity is set to 0 (as in the published
    preparation: the sensors' intensities do not compare), and a vehicle's own body is removed.

    Args:
        path: The `.bin` file: float32, little endian, rows of 4 or of 5 values.
        vehicle: True if the sensor sits on a vehicle, whose body is then cut out.
        columns: 4 or 5 values a row; `None` finds out.

    Returns:
        (P, 4) float32 x, y, z, 0 in the LiDAR frame, metres.

    Raises:
        DatasetError: If the file is missing or its size fits no row length.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(
            path, f"the cloud cannot be read ({error.strerror})", "Restore it from the dataset"
        ) from error
    widths = [width for width in ((4, 5) if columns is None else (columns,))
              if len(raw) % (4 * width) == 0]
    if not widths:
        allowed = "16 (x, y, z, intensity) or 20 bytes" if columns is None else f"{4 * columns} bytes"
        raise DatasetError(
            path,
            f"{len(raw)} bytes are not whole points of {allowed}; the file is truncated or is"
            " not a V2X-Real cloud",
            "Copy it again from the dataset",
        )
    values = np.frombuffer(raw, dtype="<f4")
    width = widths[0] if len(widths) == 1 else _likelier_width(values)
    rows = values.reshape(-1, width)[:, :4]
    points = rows[np.isfinite(rows).all(axis=1)].astype(np.float32, copy=True)
    points[:, 3] = 0.0
    return drop_ego_body(points) if vehicle else points


def drop_ego_body(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Removes the returns of the vehicle that carries the sensor.

    Args:
        points: (P, 4) in the LiDAR frame, metres.

    Returns:
        The points outside :data:`EGO_BODY`.
    """
    x, y = points[:, 0], points[:, 1]
    x_low, y_low, x_high, y_high = EGO_BODY
    body = (x >= x_low) & (x <= x_high) & (y >= y_low) & (y <= y_high)
    return points[~body]


class _NoAliasDumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Writes equal lists twice instead of as anchor and alias, as in the dataset."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


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
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
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
    """Checks a list of finite numbers read from a file."""
    try:
        return tuple(_finite_floats(value, count, name))
    except ValueError as error:
        raise DatasetError(path, str(error), "Restore the yaml from the dataset") from error


def _finite_floats(values: Any, count: int, name: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be {count} numbers, got {values!r}") from error
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} must be {count} finite numbers, got {numbers!r}")
    return numbers


def _likelier_width(values: npt.NDArray[np.float32]) -> int:
    """Tells rows of 4 from rows of 5 where the file's size allows both.

    Read with the wrong row length, every column is the same mixture of all quantities. Read with
    the right one, x, y, z and the rest keep their own spreads, whose mean logarithm is smaller
    (the logarithm is concave). The dataset's own 4 wins where there is too little to tell.
    """
    if values.size < _AMBIGUOUS_FLOATS:
        return 4
    spreads = {}
    for width in (4, 5):
        rows = values.reshape(-1, width).astype(np.float64)
        finite = rows[np.isfinite(rows).all(axis=1)]
        if finite.shape[0] < 2:
            return 4
        spreads[width] = float(np.log(finite.std(axis=0) + 1e-3).mean())
    return 5 if spreads[5] < spreads[4] else 4
