# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""V2X-Real on disk: its classes, its clouds (`.bin`), and how one frame of an agent is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import yaml

from quantv2x_ros.data.agent_yaml import finite_floats
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.file_content import read_content

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

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_CLEAR_MARGIN = 0.05  # of a mean logarithm, 5 %; chance alone stays well below
_AMBIGUOUS_FLOATS = 1000  # below this, statistics of a .bin cannot tell 4 columns from 5
_OTHER_WIDTHS = (3, 6, 7, 8)  # float32 values a point that other datasets have
_TELLING_CHUNKS = 2000  # of 20 numbers, evenly spread over the cloud: enough to tell


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
    """Write `<timestamp>.bin` and `<timestamp>.yaml` of one agent.

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
    pose = finite_floats(lidar_pose, 6, "lidar_pose")
    vehicles: dict[int, dict[str, Any]] = {}
    for item in objects:
        name = f"object {item.object_id}"
        vehicles[int(item.object_id)] = {
            "angle": finite_floats(item.angle, 3, f"angle of {name}"),
            "attribute": "",
            "center": [0, 0, 0],
            "extent": finite_floats(item.extent, 3, f"extent of {name}"),
            "location": finite_floats(item.location, 3, f"location of {name}"),
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


def read_bin(
    path: str | Path, *, vehicle: bool, columns: int | None = None
) -> npt.NDArray[np.float32]:
    """Read a V2X-Real cloud.

    Rows whose x, y or z is not finite are dropped, intensity is set to 0 (as in the published
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
    raw = read_content(path, "the cloud", "Restore it from the dataset")
    allowed = (4, 5) if columns is None else (columns,)
    widths = [width for width in allowed if len(raw) % (4 * width) == 0]
    if not widths:
        raise _wrong_size(path, len(raw), allowed)
    values = np.frombuffer(raw, dtype="<f4")
    width = widths[0] if len(widths) == 1 else _likelier_width(values)
    rows = values.reshape(-1, width)[:, :4]
    finite = np.isfinite(rows[:, :3])
    whole = rows if finite.all() else rows[finite.all(axis=1)]
    points = whole.astype(np.float32, copy=True)
    points[:, 3] = 0.0
    return drop_ego_body(points) if vehicle else points


def _wrong_size(path: str | Path, size: int, allowed: Sequence[int]) -> DatasetError:
    """Return the error of a cloud whose size is no whole number of points."""
    sizes = " or ".join(str(4 * width) for width in allowed)
    near = ", ".join(
        f"{size // (4 * width)} points of {4 * width} are {size - size % (4 * width)} bytes"
        for width in allowed
    )
    other = [
        f"{size // (4 * width)} points of {width} float32 values"
        for width in _OTHER_WIDTHS
        if width not in allowed and size % (4 * width) == 0
    ]
    fits = f"; it would hold {' or '.join(other)}" if other else ""
    return DatasetError(
        path,
        f"{size} bytes are not whole points of {sizes} bytes (float32 x, y, z, intensity):"
        f" {near}{fits}",
        "Copy it again from the dataset if it is cut, or write it with 4 float32 values a point",
    )


def drop_ego_body(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Remove the returns of the vehicle that carries the sensor.

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
    """A dumper that writes equal lists twice instead of as anchor and alias, as in the dataset."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _likelier_width(values: npt.NDArray[np.float32]) -> int:
    """Tell rows of 4 from rows of 5 where the file's size allows both.

    Read with the wrong row length, every column is the same mixture of all quantities. Read with
    the right one, x, y, z and the rest keep their own spreads, whose mean logarithm is smaller
    (the logarithm is concave). The dataset's own 4 wins where there is too little to tell.
    """
    if values.size < _AMBIGUOUS_FLOATS:
        return 4
    chunks = values.reshape(-1, 20)  # whole rows of either length
    chunks = chunks[:: max(1, len(chunks) // _TELLING_CHUNKS)].astype(np.float64)
    spreads = {}
    for width in (4, 5):
        rows = chunks.reshape(-1, width)
        finite = rows[np.isfinite(rows).all(axis=1)]
        if finite.shape[0] < 2:
            return 4
        spreads[width] = float(np.log(finite.std(axis=0) + 1e-3).mean())
    return 5 if spreads[5] < spreads[4] - _CLEAR_MARGIN else 4
