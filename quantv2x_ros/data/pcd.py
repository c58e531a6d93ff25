# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in PCD files: ascii, binary and LZF-compressed, fields in any order.

pypcd4 does the parsing. It trusts the sizes that a header states, so they are compared with the
size of the file first, before anything is allocated.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.file_content import read_content

ASCII, BINARY, COMPRESSED = "ascii", "binary", "binary_compressed"
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_LISTS = ("FIELDS", "SIZE", "TYPE", "COUNT")
_NUMBERS = ("WIDTH", "HEIGHT", "POINTS")
_REMEDY = "Export the cloud as PCD 0.7"


@dataclass(frozen=True)
class PcdField:
    """One field of a point.

    Attributes:
        name: `x`, `y`, `z`, others; `_` for padding.
        kind: `F`, `I` or `U`.
        size: Bytes of one value.
        count: Values.
    """

    name: str
    kind: str
    size: int
    count: int


@dataclass(frozen=True)
class PcdHeader:
    """What a header says.

    Attributes:
        fields: Of each point, in order.
        width: Points in a row.
        height: Rows.
        points: Of the cloud.
        data: `ascii`, `binary` or `binary_compressed`.
    """

    fields: tuple[PcdField, ...]
    width: int
    height: int
    points: int
    data: str

    @property
    def stride(self) -> int:
        """Bytes of a point."""
        return sum(field.size * field.count for field in self.fields)

    @property
    def values(self) -> int:
        """Values of a point."""
        return sum(field.count for field in self.fields)

    def with_empty_fields(self, count: int) -> PcdHeader:
        """Return the header with fields of COUNT 0 left out, or of so many values."""
        fields = (field if field.count else replace(field, count=count) for field in self.fields)
        return replace(self, fields=tuple(field for field in fields if field.count))

    def canonical(self) -> bytes:
        """Return the header as PCD 0.7 asks for, fields but the coordinates under plain names."""
        names = [
            item.name if item.name in ("x", "y", "z") else f"field{number}"
            for number, item in enumerate(self.fields)
        ]
        lines = (
            "VERSION 0.7",
            f"FIELDS {' '.join(names)}",
            f"SIZE {' '.join(str(item.size) for item in self.fields)}",
            f"TYPE {' '.join(item.kind for item in self.fields)}",
            f"COUNT {' '.join(str(item.count) for item in self.fields)}",
            f"WIDTH {self.width}",
            f"HEIGHT {self.height}",
            "VIEWPOINT 0 0 0 1 0 0 0",
            f"POINTS {self.points}",
            f"DATA {self.data}",
        )
        return "".join(f"{line}\n" for line in lines).encode()


def parse_header(path: str | Path, text: bytes) -> PcdHeader:
    """Read a header.

    Args:
        path: The file, for errors.
        text: From the beginning to the end of the DATA line.

    Raises:
        DatasetError: If a line is missing that nothing else tells, or says what is not allowed.
    """
    lines = _lines(path, text)
    for name in ("FIELDS", "SIZE", "TYPE"):
        if name not in lines:
            raise _invalid(path, f"it has no {name} line")
    names, kinds = lines["FIELDS"], lines["TYPE"]
    missing = [axis for axis in "xyz" if axis not in names]
    if missing:
        raise DatasetError(
            path,
            f"it has no field {', '.join(missing)} (fields: {', '.join(names)})",
            "Name the coordinate fields x, y and z",
        )
    sizes = _integers(path, "SIZE", lines["SIZE"])
    counts = _integers(path, "COUNT", lines.get("COUNT", ["1"] * len(names)))
    if len({len(names), len(sizes), len(kinds), len(counts)}) != 1:
        raise DatasetError(path, "its FIELDS, SIZE, TYPE and COUNT lines disagree", _REMEDY)
    if len({name for name in names if name != "_"}) < len(names) - names.count("_"):
        raise _invalid(path, f"a field is there twice: {', '.join(names)}")
    fields = tuple(map(PcdField, names, kinds, sizes, counts))
    for item in fields:
        _check(path, item)
    data = lines["DATA"][0] if lines["DATA"] else ""
    if data not in (ASCII, BINARY, COMPRESSED):
        raise _invalid(path, f"DATA is {data!r}, allowed are {ASCII}, {BINARY}, {COMPRESSED}")
    return PcdHeader(fields, *_extent(path, lines), data)


def _lines(path: str | Path, text: bytes) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for line in text.decode("ascii", errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in lines:
            raise _invalid(path, f"{words[0]} is there twice")
        lines[words[0]] = words[1:]
    return lines


def _extent(path: str | Path, lines: dict[str, list[str]]) -> tuple[int, int, int]:
    """Return width, height and number of points, of which one may be missing."""
    known = {name: _integers(path, name, lines[name])[0] for name in _NUMBERS if lines.get(name)}
    height = known.get("HEIGHT", 1)
    if "WIDTH" not in known and "POINTS" not in known:
        raise _invalid(path, "it has neither WIDTH nor POINTS")
    points = known.get("POINTS", known.get("WIDTH", 0) * height)
    return known.get("WIDTH", points // height if height else 0), height, points


def _check(path: str | Path, item: PcdField) -> None:
    if item.size not in _SIZES.get(item.kind, ()) or (item.name in "xyz" and item.count != 1):
        raise DatasetError(
            path,
            f"field {item.name} has type {item.kind}, size {item.size}, count {item.count}; allowed"
            " are F of 4 or 8 bytes, I and U of 1, 2, 4 or 8, and a count of 1 for coordinates",
            _REMEDY,
        )


def _integers(path: str | Path, name: str, words: list[str]) -> list[int]:
    """Read whole numbers from 0 on."""
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong or any(len(word) > 18 for word in words):
        raise _invalid(path, f"{name} is {' '.join(words)!r}, allowed are whole numbers from 0 on")
    return [int(word) for word in words]


def _invalid(path: str | Path, problem: str) -> DatasetError:
    return DatasetError(path, f"its PCD header is not valid ({problem})", _REMEDY)


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
    # pydantic, which it brings, takes a sixth of a second that no node needs to wait for
    from pypcd4.pypcd4 import PointCloud

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
