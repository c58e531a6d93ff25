# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the files of a bag are, and what ails those that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from quantv2x_ros.data.errors import BagError
from quantv2x_ros.data.file_content import LFS_REMEDY, lfs_pointer

STORAGE_SUFFIXES = (".mcap", ".db3")
_PACKED_SUFFIXES = (".zstd", ".zst", ".lz4", ".gz", ".bz2", ".xz")
_ROS1_SUFFIX = ".bag"
_METADATA = "metadata.yaml"

#: How rosbag2 numbers the parts of a bag.
_NUMBERED = re.compile(r"_\d+$")

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"
_ROS1_MAGIC = b"#ROSBAG V"
_SHORTEST_MCAP = 2 * len(_MCAP_MAGIC) + 1


class Fault(NamedTuple):
    """What is wrong with a file.

    Attributes:
        problem: to follow the file's name.
        remedy: what mends it.
    """

    problem: str
    remedy: str


def is_bag_like(path: Path) -> bool:
    """Tell whether a path is, or wants to be, a bag: then errors about it are those of bags."""
    if not path.is_dir():
        return _is_bag_file(path)
    if (path / _METADATA).is_file():
        return True
    inside = list(
        path.iterdir()
    )  # folders inside: of a dataset's agents, a bag may lie beside them
    return any(map(_is_bag_file, inside)) and not any(item.is_dir() for item in inside)


def storage_files(folder: Path) -> list[Path]:
    """Return the files of a bag's folder that hold messages."""
    return sorted(path for path in folder.iterdir() if path.suffix in STORAGE_SUFFIXES)


def refuse_unreadable(path: Path) -> None:
    """Refuse what is no rosbag2 file or folder, or not yet.

    Args:
        path: path of a bag.

    Raises:
        BagError: naming what it is, and how to make a bag of it that can be read.
    """
    if not path.exists():
        raise BagError(path, "there is no such bag", "Check the path")
    if path.is_file():
        fault = fault_of(path)
        if fault is not None:
            raise BagError(path, f"it cannot be read as rosbag2 (it {fault.problem})", fault.remedy)
        return
    if (path / _METADATA).is_file():
        return
    files = storage_files(path)
    names = sorted({_NUMBERED.sub("", file.stem) for file in files})
    if len(names) > 1:
        raise BagError(
            path,
            f"it has no metadata.yaml, and holds files of several bags: {', '.join(names[:8])}",
            "Give one of the files, or move each bag into a folder of its own",
        )
    if files:
        return
    for file in sorted(filter(_is_bag_file, path.iterdir())):
        fault = fault_of(file)
        if fault is not None:
            raise BagError(
                path,
                f"the folder has no metadata.yaml, and {file.name} {fault.problem}",
                fault.remedy,
            )
    raise BagError(
        path,
        "the folder has no metadata.yaml and no .mcap or .db3 file, so it is no rosbag2",
        "Give the bag's folder or file",
    )


def fault_of(file: Path) -> Fault | None:
    """Look at the beginning and the end of a file; `None` where they are as they should be.

    Raises:
        OSError: if it cannot be read.
    """
    size = file.stat().st_size
    if size == 0:
        return Fault("is empty (0 bytes)", "Copy it again, or leave it out: nothing was recorded")
    with file.open("rb") as stream:
        head = stream.read(1024)
        stream.seek(max(0, size - len(_MCAP_MAGIC)))
        tail = stream.read()
    pointer = lfs_pointer(head) if size <= len(head) else ""
    if pointer:
        return Fault(pointer.removeprefix("it "), LFS_REMEDY)
    if head.startswith(_ROS1_MAGIC) or file.suffix == _ROS1_SUFFIX:
        return Fault("is a ROS 1 bag", _ros1_remedy(file))
    if file.suffix in _PACKED_SUFFIXES:
        return Fault("is compressed as a whole", _unpack_remedy(file))
    if file.suffix == ".mcap":
        return _mcap_fault(file, size, head, tail)
    if file.suffix == ".db3":
        return _sqlite_fault(file, size, head)
    return Fault("is neither .mcap nor .db3", "Give the bag's folder or file")


def _mcap_fault(file: Path, size: int, head: bytes, tail: bytes) -> Fault | None:
    if not head.startswith(_MCAP_MAGIC[: len(head)]):
        return Fault(f"is no MCAP file: it begins with {head[:8]!r}", "Copy the bag again")
    if size >= _SHORTEST_MCAP and tail == _MCAP_MAGIC:
        return None
    return Fault(
        f"is cut: the end of an MCAP file is missing after {size:,} bytes",
        f"Copy it again; if the recorder was killed, `mcap recover {file.name} -o whole.mcap` (the"
        " mcap command line tool) saves what is there, and `ros2 bag reindex` alone does not",
    )


def _sqlite_fault(file: Path, size: int, head: bytes) -> Fault | None:
    if not head.startswith(_SQLITE_MAGIC[: len(head)]):
        return Fault(f"is no SQLite file: it begins with {head[:8]!r}", "Copy the bag again")
    page = int.from_bytes(head[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if size >= max(expected, 100):  # 100 bytes: of the header
        return None
    return Fault(
        f"is cut: {size:,} of {expected:,} bytes are there",
        f'Copy it again; if that is all there is, `sqlite3 {file.name} ".recover" | sqlite3'
        " whole.db3` saves what can be, and `ros2 bag reindex` alone does not",
    )


def _ros1_remedy(file: Path) -> str:
    name = file.name.split(".")[0] or "bag"
    return (
        f"Convert it: `rosbags-convert --src {file.name} --dst {name} --dst-typestore ros2_jazzy`"
        " (part of the Python package rosbags, which this package needs), and give the new folder"
    )


def _unpack_remedy(file: Path) -> str:
    if (file.parent / _METADATA).is_file():
        return f"Give its folder {file.parent}, whose metadata.yaml tells how to read it"
    tool = {".zstd": "zstd -d", ".zst": "zstd -d", ".lz4": "lz4 -d", ".gz": "gunzip"}
    command = {**tool, ".bz2": "bunzip2", ".xz": "unxz"}[file.suffix]
    return f"Unpack it, `{command} {file.name}`, or put its metadata.yaml beside it"


def _is_bag_file(path: Path) -> bool:
    """Tell by its name whether a file is of a bag, of ROS 1's or a compressed one, too."""
    inner = path.with_suffix("") if path.suffix in _PACKED_SUFFIXES else path
    return inner.suffix in (*STORAGE_SUFFIXES, _ROS1_SUFFIX) or path.name.endswith(".bag.active")
