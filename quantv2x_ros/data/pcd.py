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
from pypcd4.pypcd4 import PointCloud

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.file_content import read_content
from quantv2x_ros.data.pcd_header import ASCII, BINARY, PcdHeader, parse_header

_HEADER_LIMIT = 4096  # bytes; a header is ten short lines
_LZF_EXPANSION = 100  # LZF's longest back reference turns 3 bytes into 264


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
    content = read_content(path, "the cloud", "Restore it from the dataset")
    if not content:
        raise DatasetError(path, "it is empty (0 bytes)", "Copy it again from the dataset")
    header_size = _header_size(path, content)
    body = content[header_size:]
    header = _with_sizes_of(parse_header(path, content[:header_size]), body)
    _check_sizes(path, header, body)
    try:
        # pypcd4's signature asks for a buffered file; it only iterates, reads and seeks
        file = io.BytesIO(header.canonical() + body)
        cloud = PointCloud.from_fileobj(cast(io.BufferedReader, file))
        columns = [np.atleast_1d(cloud.pc_data[axis]) for axis in "xyz"]
    except (ValueError, TypeError, RuntimeError, OverflowError, struct.error) as error:
        raise DatasetError(
            path, f"its points cannot be read ({error})", "Copy the file again, or export it anew"
        ) from error
    if len(columns[0]) != header.points:
        raise DatasetError(
            path,
            f"the header announces {header.points} points, the file holds {len(columns[0])}",
            "Copy the file again",
        )
    points = np.zeros((header.points, 4), dtype=np.float32)
    with np.errstate(over="ignore"):  # float64 beyond float32 turns infinite, and is dropped
        points[:, :3] = np.stack(columns, axis=1)
    return points[np.isfinite(points).all(axis=1)]


def _header_size(path: str | Path, content: bytes) -> int:
    """Find the byte after the DATA line."""
    position = 0
    while position < min(len(content), _HEADER_LIMIT):
        end = content.find(b"\n", position)
        end = len(content) if end < 0 else end + 1
        if content[position:end].split()[:1] == [b"DATA"]:
            return end
        position = end
    raise DatasetError(
        path,
        f"no DATA line within the first {_HEADER_LIMIT} bytes; it is not a PCD file",
        "Export the cloud as PCD 0.7 (ascii, binary or binary_compressed)",
    )


def _with_sizes_of(header: PcdHeader, body: bytes) -> PcdHeader:
    """Give fields of COUNT 0 one value if the data has one, else leave them out."""
    without, single = header.with_empty_fields(0), header.with_empty_fields(1)
    if header.data == ASCII:
        first = next((line for line in body.splitlines() if line.strip()), b"")
        return single if len(first.split()) == single.values else without
    if header.data == BINARY:
        found = len(body)
        is_single = found != header.points * without.stride
        return single if is_single and found >= header.points * single.stride else without
    uncompressed = int.from_bytes(body[4:8], "little")
    return single if uncompressed == header.points * single.stride else without


def _check_sizes(path: str | Path, header: PcdHeader, body: bytes) -> None:
    """Compare what the header promises with what the file can hold."""
    expected = header.points * header.stride
    if header.points != header.width * header.height:
        size = f"WIDTH {header.width} x HEIGHT {header.height}"
        problem = f"POINTS {header.points} is not {size}"
    elif header.points == 0:
        return
    elif header.data == BINARY:
        problem = f"{expected} bytes of points announced, {len(body)} found"
        if len(body) >= expected:
            return
    elif header.data == ASCII:
        # a value is one digit and one separator at least
        problem = f"{header.points} points announced, {len(body)} bytes of text found"
        if len(body) + 1 >= 2 * header.points * header.values:
            return
    elif len(body) < 8:
        problem = "the sizes of the compressed data are missing"
    else:
        compressed, uncompressed = struct.unpack("<II", body[:8])
        problem = (
            f"{compressed} compressed and {uncompressed} uncompressed bytes announced,"
            f" {len(body) - 8} found and {expected} needed for {header.points} points"
        )
        if (
            0 < compressed <= len(body) - 8
            and uncompressed == expected
            and uncompressed <= _LZF_EXPANSION * compressed
        ):
            return
    raise DatasetError(path, f"{problem}; the file is truncated or altered", "Copy it again")
