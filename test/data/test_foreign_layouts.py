# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets in other layouts are named as a whole, not file by file."""

from __future__ import annotations

import shutil

import pytest

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario, find_scenarios
from quantv2x_ros.doctor.dataset_doctor import examine_dataset


@pytest.fixture
def dair(tmp_path):
    """The folders of DAIR-V2X-C, with a cloud on each side."""
    root = tmp_path / "cooperative-vehicle-infrastructure"
    for side, calibration in (
        ("vehicle-side", "lidar_to_novatel"),
        ("infrastructure-side", "virtuallidar_to_world"),
    ):
        for name in ("velodyne", "image", f"calib/{calibration}", "label/lidar"):
            (root / side / name).mkdir(parents=True)
        (root / side / "velodyne" / "000123.pcd").write_bytes(b"")
        (root / side / "data_info.json").write_text("[]")
    (root / "cooperative").mkdir()
    return root


@pytest.mark.parametrize(
    "inner",
    ["", "vehicle-side", "infrastructure-side", "vehicle-side/velodyne", "cooperative", ".."],
)
def test_dair_v2x_is_recognised_from_any_of_its_folders(dair, inner):
    folder = dair / inner
    for read in (Scenario.open, find_scenarios):
        with pytest.raises(
            DatasetError, match=r"layout of DAIR-V2X .*not read\. Convert it; what is read is V2X-R"
        ):
            read(folder)


def test_the_doctor_says_it_once_and_names_no_file(dair):
    (broken,) = examine_dataset(dair).broken
    assert "layout of DAIR-V2X" in broken.problem


@pytest.mark.parametrize(
    ("folders", "name"),
    [(("velodyne", "label_2"), "KITTI"), (("samples/LIDAR_TOP",), "nuScenes")],
)
def test_other_layouts_are_named(tmp_path, folders, name):
    for folder in folders:
        (tmp_path / "data" / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"layout of {name}"):
        find_scenarios(tmp_path / "data")


def test_what_can_be_read_beside_it_is_found(dair, small_scenario):
    root = small_scenario()
    shutil.move(root, dair.parent / "scene")
    assert find_scenarios(dair.parent) == [dair.parent / "scene"]
