# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Headers of PCD files, also those that leave out what can be told from the rest.

PCD 0.7 asks for COUNT, POINTS and VIEWPOINT; older versions and many exporters do without. A field
of COUNT 0 is one that its exporter counts as one value, or as none: the size of the data tells.
See https://pointclouds.org/documentation/tutorials/pcd_file_format.html.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from quantv2x_ros.data.errors import DatasetError

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
