# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets that are recognised and not read: what to say instead of naming each of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quantv2x_ros.data.errors import DatasetError

_DAIR_SIDES = ("vehicle-side", "infrastructure-side")
#: What lies beside `velodyne` on either side of DAIR-V2X and V2X-Seq.
_DAIR_BESIDE = (
    "data_info.json",
    "calib/lidar_to_novatel",
    "calib/virtuallidar_to_world",
    "label/lidar",
    "label/virtuallidar",
)
_KITTI_BESIDE = ("label_2", "image_2", "image_3")
_DEPTH = 2  # folders between what a user gives and the dataset

READABLE = (
    "V2X-Real, OPV2V and V2V4Real: <scenario>/<agent>/<timestamp>.bin or .pcd with a .yaml of the"
    " same name"
)


def foreign_layout(folder: Path) -> str:
    """Return the name of the dataset whose layout a folder has; empty if it is none of these."""
    if any((folder / side).is_dir() for side in _DAIR_SIDES):
        return "DAIR-V2X"
    has_clouds = (folder / "velodyne").is_dir()
    if has_clouds and any((folder / name).exists() for name in _DAIR_BESIDE):
        return "DAIR-V2X"
    if has_clouds and any((folder / name).is_dir() for name in _KITTI_BESIDE):
        return "KITTI"
    if (folder / "samples" / "LIDAR_TOP").is_dir():
        return "nuScenes"
    return ""


def refuse_foreign(root: Path) -> None:
    """Refuse a folder that is, lies in or holds a dataset which is not read.

    Raises:
        DatasetError: Naming the dataset and what is read.
    """
    for folder in _around(root):
        name = foreign_layout(folder)
        if name:
            raise DatasetError(
                root,
                f"it has the layout of {name} ({folder}), which is not read",
                f"Convert it; what is read is {READABLE}",
            )


def _around(root: Path) -> Iterator[Path]:
    """Yield the folder, its parent (it may be a folder of a dataset), and what it holds."""
    yield root
    yield root.absolute().parent
    level = [root]
    for _ in range(_DEPTH):
        level = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]
        yield from level
