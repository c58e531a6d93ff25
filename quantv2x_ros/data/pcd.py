# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in PCD files: ascii, binary and LZF-compressed, fields in any order.

pypcd4 does the parsing. It trusts the sizes that a header states, so they are compared with the
size of the file first, before anything is allocated.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from pypcd4.pypcd4 import Encoding, MetaData, PointCloud

from quantv2x_ros.data.errors import DatasetError

_HEADER_LIMIT = 4096  # bytes; a header is ten short lines
_LZF_EXPANSION = 100  # LZF's longest back reference turns 3 bytes into 264
_KNOWN_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}


def read_pcd(path: str | Path) -> npt.NDArray[np.float32]:
    """Read the points of a PCD file.

    Points that are not finite (the holes of an organised cloud) are dropped. Intensity is 0, as
    for V2X-Real: the networks are trained without it, and OPV2V has a colour in its place.

    Args:
        path: The `.pcd` file.

    Returns:
        (P, 4) float32 x, y, z, 0 in the file's frame, metres.

    Raises:
        DatasetError: If the file is missing, no PCD file, truncated, or without x, y and z.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(
            path, f"the cloud cannot be read ({error.strerror})", "Restore it from the dataset"
        ) from error
    header_size = _header_size(path, content)
    metadata = _read_header(path, content[:header_size])
    _check_sizes(path, metadata, content[header_size:])
    try:
        # pypcd4's signature asks for a buffered file; it only iterates, reads and seeks
        cloud = PointCloud.from_fileobj(cast(io.BufferedReader, io.BytesIO(content)))
        columns = [np.atleast_1d(cloud.pc_data[axis]) for axis in "xyz"]
    except (ValueError, TypeError, RuntimeError, OverflowError, struct.error) as error:
        raise DatasetError(
            path, f"its points cannot be read ({error})", "Copy the file again, or export it anew"
        ) from error
    if len(columns[0]) != metadata.points:
        raise DatasetError(
            path,
            f"the header announces {metadata.points} points, the file holds {len(columns[0])}",
            "Copy the file again",
        )
    points = np.zeros((metadata.points, 4), dtype=np.float32)
    with np.errstate(over="ignore"):  # float64 beyond float32 turns infinite, and is dropped
        points[:, :3] = np.stack(columns, axis=1)
    return points[np.isfinite(points).all(axis=1)]


def _header_size(path: str | Path, content: bytes) -> int:
    """Find the byte after the DATA line."""
    position = 0
    while position < min(len(content), _HEADER_LIMIT):
        end = content.find(b"\n", position)
        end = len(content) if end < 0 else end + 1
        if content[position:end].lstrip().startswith(b"DATA"):
            return end
        position = end
    raise DatasetError(
        path,
        f"no DATA line within the first {_HEADER_LIMIT} bytes; it is not a PCD file",
        "Export the cloud as PCD 0.7 (ascii, binary or binary_compressed)",
    )


def _read_header(path: str | Path, header: bytes) -> MetaData:
    lines = [line.strip() for line in header.decode("ascii", errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    try:
        metadata = MetaData.parse_header(lines)
    except (ValueError, IndexError, OverflowError) as error:  # pydantic's errors are ValueErrors
        problem = "; ".join(str(error).splitlines())
        raise DatasetError(
            path, f"its PCD header is not valid ({problem})", "Export the cloud as PCD 0.7"
        ) from error
    missing = [axis for axis in "xyz" if axis not in metadata.fields]
    if missing:
        raise DatasetError(
            path,
            f"it has no field {', '.join(missing)} (fields: {', '.join(metadata.fields)})",
            "Name the coordinate fields x, y and z",
        )
    lengths = {len(metadata.fields), len(metadata.size), len(metadata.type), len(metadata.count)}
    if len(lengths) != 1 or len(lines) > 10:
        raise DatasetError(
            path,
            "its FIELDS, SIZE, TYPE and COUNT lines disagree, or there are more than ten lines",
            "Export the cloud as PCD 0.7",
        )
    columns = zip(metadata.fields, metadata.type, metadata.size, metadata.count, strict=True)
    for name, kind, size, count in columns:
        if size not in _KNOWN_SIZES[kind] or (name in "xyz" and count != 1):
            raise DatasetError(
                path,
                f"field {name} has type {kind}, size {size}, count {count}; allowed are F of 4 or"
                " 8 bytes, I and U of 1, 2, 4 or 8, and a count of 1 for coordinates",
                "Export the cloud as PCD 0.7",
            )
    return metadata


def _check_sizes(path: str | Path, metadata: MetaData, body: bytes) -> None:
    """Compare what the header promises with what the file can hold."""
    columns = zip(metadata.size, metadata.count, strict=True)
    expected = metadata.points * sum(size * count for size, count in columns)
    if metadata.points != metadata.width * metadata.height:
        size = f"WIDTH {metadata.width} x HEIGHT {metadata.height}"
        problem = f"POINTS {metadata.points} is not {size}"
    elif metadata.points == 0:
        return
    elif metadata.data == Encoding.BINARY:
        problem = f"{expected} bytes of points announced, {len(body)} found"
        if len(body) >= expected:
            return
    elif metadata.data == Encoding.ASCII:
        # a value is one digit and one separator at least
        problem = f"{metadata.points} points announced, {len(body)} bytes of text found"
        if len(body) + 1 >= 2 * metadata.points * sum(metadata.count):
            return
    elif len(body) < 8:
        problem = "the sizes of the compressed data are missing"
    else:
        compressed, uncompressed = struct.unpack("<II", body[:8])
        problem = (
            f"{compressed} compressed and {uncompressed} uncompressed bytes announced,"
            f" {len(body) - 8} found and {expected} needed for {metadata.points} points"
        )
        if (
            0 < compressed <= len(body) - 8
            and uncompressed == expected
            and uncompressed <= _LZF_EXPANSION * compressed
        ):
            return
    raise DatasetError(path, f"{problem}; the file is truncated or altered", "Copy it again")
