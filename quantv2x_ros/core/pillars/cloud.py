# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds of any binary layout, as (P, 4) float32.

The layout is that of ``sensor_msgs/PointCloud2``: named fields at byte offsets in a point of
``point_step`` bytes, points in rows of ``row_step`` bytes. Everything is checked against the
buffer before it is read, because a cloud comes from another process.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
CloudBuffer = bytes | bytearray | memoryview | array  # type: ignore[type-arg]

#: NumPy type codes of sensor_msgs/PointField's INT8 = 1 to FLOAT64 = 8.
FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}

#: More points than any sensor sends in a sweep; a larger cloud is refused.
MAX_POINTS = 4_000_000


class CloudError(ValueError):
    """A cloud whose description does not fit its bytes, or that has no positions."""


@dataclass(frozen=True)
class CloudField:
    """One named value of a point.

    Attributes:
        name: such as ``x`` or ``intensity``.
        offset: bytes from the start of a point.
        datatype: a key of `FIELD_TYPES`.
        count: number of elements; only the first is read.
    """

    name: str
    offset: int
    datatype: int
    count: int = 1


@dataclass(frozen=True)
class Cloud:
    """A cloud that can be worked with.

    Attributes:
        points: (P, 4) float32 x, y, z [m] and intensity; every value finite. May be a read-only
            view of the buffer that it was read from.
        dropped: points left out because one of their values was not finite.
        has_intensity: False where the buffer has no intensity and the column is all 0.
        dropped_for_intensity: those of the dropped points whose position is finite.
    """

    points: Float32
    dropped: int
    has_intensity: bool
    dropped_for_intensity: int = 0


def points_from_buffer(
    data: CloudBuffer,
    fields: Sequence[CloudField],
    point_step: int,
    row_step: int,
    width: int,
    height: int,
    is_bigendian: bool,
    *,
    use_intensity: bool = True,
) -> Cloud:
    """Read a cloud by the names, offsets and types of its fields.

    An organised cloud (height > 1) is read row by row. Four float32 fields in the order x, y, z,
    intensity without padding are not copied.

    Args:
        data: the bytes of the cloud.
        fields: what lies where in a point; the order does not matter, others than x, y, z and
            intensity are ignored.
        point_step: bytes from one point to the next.
        row_step: bytes from one row to the next; ignored where there is only one row.
        width: points in a row.
        height: rows.
        is_bigendian: byte order of the values.
        use_intensity: False leaves intensity at 0, and keeps points whose intensity is not finite.

    Raises:
        CloudError: naming the field or size that is wrong.
    """
    count = _checked_count(len(memoryview(data).cast("B")), point_step, row_step, width, height)
    layout, has_intensity = _layout(fields, point_step, is_bigendian, use_intensity)
    if count == 0:
        return Cloud(np.empty((0, 4), np.float32), 0, has_intensity)
    strides = (row_step if height > 1 else width * point_step, point_step)
    table = np.ndarray((height, width), layout, buffer=memoryview(data), strides=strides)
    points = _plain_view(table, layout)
    if points is None:
        points = np.zeros((count, 4), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # float64 beyond float32: not finite
            for column, name in enumerate(layout.names or ()):
                points[:, column] = table[name].reshape(-1)
    finite = np.isfinite(points)
    if finite.all():
        return Cloud(points, 0, has_intensity)
    kept = points[finite.all(axis=1)]
    placed = int(np.count_nonzero(finite[:, :3].all(axis=1)))
    return Cloud(kept, count - len(kept), has_intensity, placed - len(kept))


def outside_box(points: Float32, box: Sequence[float]) -> Float32:
    """Return the points that lie outside an upright box, such as the sensor's own vehicle.

    Args:
        points: (P, 4) float32.
        box: minimum x, minimum y, maximum x, maximum y in metres, sensor frame.

    Raises:
        ValueError: for a box that is not four finite numbers in that order.
    """
    bounds = tuple(float(value) for value in box)
    if len(bounds) != 4 or not np.isfinite(bounds).all():
        raise ValueError(f"box: got {list(bounds)}, expected four finite numbers [m]")
    low_x, low_y, high_x, high_y = bounds
    if low_x > high_x or low_y > high_y:
        raise ValueError(f"box: got {list(bounds)}, expected minimum x, y, then maximum x, y")
    x, y = points[:, 0], points[:, 1]
    inside = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
    return points[~inside] if inside.any() else points


def _checked_count(size: int, point_step: int, row_step: int, width: int, height: int) -> int:
    """Return the number of points after checking that they fit ``size`` bytes."""
    if width < 0 or height < 0 or width * height > MAX_POINTS:
        raise CloudError(
            f"cloud: got width {width} x height {height}, allowed are up to {MAX_POINTS} points"
        )
    count = width * height
    if count == 0:
        return 0
    if point_step <= 0:
        raise CloudError(f"cloud: got point_step {point_step}, expected a positive number of bytes")
    if height > 1 and row_step < width * point_step:
        raise CloudError(
            f"cloud: got row_step {row_step}, but {width} points of {point_step} bytes need "
            f"{width * point_step}"
        )
    needed = (height - 1) * row_step + width * point_step
    if size < needed:
        raise CloudError(
            f"cloud: got {size} bytes of data, but {width} x {height} points with point_step "
            f"{point_step} and row_step {row_step} need {needed}"
        )
    return count


def _layout(
    fields: Sequence[CloudField], point_step: int, is_bigendian: bool, use_intensity: bool
) -> tuple[np.dtype[np.void], bool]:
    """Return the structured type of x, y, z and intensity where wanted; whether there is any."""
    by_name = {field.name: field for field in fields}
    missing = [name for name in "xyz" if name not in by_name]
    if missing:
        raise CloudError(
            f"cloud: no field {', '.join(missing)} among {sorted(by_name)}; x, y and z are needed"
        )
    wanted = ("x", "y", "z", "intensity") if use_intensity else ("x", "y", "z")
    names = [name for name in wanted if name in by_name]
    formats = []
    for name in names:
        field = by_name[name]
        if field.datatype not in FIELD_TYPES:
            raise CloudError(
                f"cloud: field {name} has datatype {field.datatype}, allowed are "
                f"{min(FIELD_TYPES)} to {max(FIELD_TYPES)} (see sensor_msgs/PointField)"
            )
        scalar = np.dtype((">" if is_bigendian else "<") + FIELD_TYPES[field.datatype])
        if field.offset < 0 or field.offset + scalar.itemsize > point_step:
            raise CloudError(
                f"cloud: field {name} takes bytes {field.offset} to "
                f"{field.offset + scalar.itemsize - 1} of a point of {point_step} bytes"
            )
        formats.append(scalar)
    offsets = [by_name[name].offset for name in names]
    layout = np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": point_step}
    )
    return layout, "intensity" in by_name


def _plain_view(table: npt.NDArray[np.void], layout: np.dtype[np.void]) -> Float32 | None:
    """Return the table as (P, 4) without a copy where its layout allows that."""
    float32 = np.dtype(np.float32)
    plain = [("x", 0), ("y", 4), ("z", 8), ("intensity", 12)]
    fields: Mapping[str, Any] = layout.fields or {}
    found = [(name, fields[name][1]) for name in layout.names or () if fields[name][0] == float32]
    if found != plain or layout.itemsize != 16 or not table.flags.c_contiguous:
        return None
    return table.reshape(-1).view(np.float32).reshape(-1, 4)
