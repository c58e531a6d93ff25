# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How clouds lie to the ground is told, with what puts them right; a good cloud says nothing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import transform_points
from quantv2x_ros.core.placement.cloud_placement import (
    CloudPlacement,
    PlacementRemedy,
    parse_placement,
    placement_of,
)
from quantv2x_ros.core.placement.ground_check import (
    LOOKS,
    GroundCheck,
    ground_fault,
    ground_of,
    upright_extrinsics,
)
from quantv2x_ros.core.placement.ground_plane import GroundPlane
from quantv2x_ros.data.frame import read_cloud
from quantv2x_ros.data.simulator import write_scenario

NONE = PlacementRemedy(CloudPlacement(), of_command=True)
MOUNTS = {
    "base_link": [0.0, 0.0, 1.9, 0.0, 0.0, 0.0],
    "pitched": [0.0, 0.0, 0.0, 0.0, -15.0, 0.0],
    "upside down": [0.0, 0.0, 0.0, 180.0, 0.0, 0.0],
    "on its side": [0.0, 0.0, 0.0, 90.0, 0.0, 0.0],
    "y forward, in base_link": [0.0, 0.0, 1.9, 0.0, 0.0, 90.0],
}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """Simulated clouds of vehicles and of units on masts, by file."""
    root = tmp_path_factory.mktemp("streets")
    for seed in (41, 42, 43):
        write_scenario(root / str(seed), seed=seed, frames=1, agents=4)
    files = sorted(Path(root).rglob("*.bin"))
    assert len(files) >= 6
    return {str(file): read_cloud(file, infrastructure=True) for file in files}


def laid(cloud, mount):
    """The cloud as a sensor sees it in whose frame the LiDAR is mounted so."""
    moved = cloud.copy()
    moved[:, :3] = transform_points(cloud, placement_of(mount).extrinsics)
    return moved


def fault(cloud):
    plane = ground_of(cloud)
    assert plane is not None
    return ground_fault(plane, NONE)


def test_vehicles_and_masts_as_they_should_be_say_nothing(clouds):
    assert [fault(cloud) for cloud in clouds.values()] == [""] * len(clouds)


@pytest.mark.parametrize("name", MOUNTS)
def test_another_frame_is_told_and_what_is_told_puts_it_right(clouds, name):
    """On a straight street to half a degree; over a crest another stretch may be taken for it."""
    tilts, lifts = [], []
    for cloud in clouds.values():
        height = ground_of(cloud).height
        if "base_link" in name and height > 2.4:
            continue  # on a mast; lowered by 1.9 m its ground is still far below
        moved = laid(cloud, MOUNTS[name])
        text = fault(moved)
        setting = re.search(r"--cloud-mount=(\S+)$", text)
        assert setting is not None, text
        righted = parse_placement(setting[1]).apply(moved)
        plane = ground_of(righted)
        tilts.append(np.degrees(plane.tilt))
        lifts.append(abs(plane.height - (1.9 if "base_link" in name else height)))
        assert ground_fault(plane, NONE) == ""
    assert np.median(tilts) < 0.2
    assert np.median(lifts) < 0.05
    assert max(tilts) < 3.0, "as much as several looks may differ by, see GroundCheck"
    assert max(lifts) < 0.4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("base_link", r"ground lies -?0\.\d\d m below .* 0\.7 to 12 m"),
        ("pitched", r"tilted: .* 1\d\.\d° off the z axis, at most 6\.8°"),
        ("upside down", r"upside down .* 17\d\.\d° off"),
        ("on its side", r"on its side: .* [89]\d\.\d° off"),
    ],
)
def test_both_values_are_told(clouds, name, words):
    cloud = min(clouds.values(), key=lambda cloud: abs(ground_of(cloud).height - 1.9))
    assert re.search(words, fault(laid(cloud, MOUNTS[name])))


@settings(deadline=None)
@given(
    st.floats(-np.pi, np.pi), st.floats(0.0, np.pi), st.floats(-np.pi, np.pi), st.floats(-3.0, 3.0)
)
def test_the_mount_is_upright_and_looks_ahead(yaw, tilt, roll, height):
    normal = np.array([np.sin(tilt) * np.cos(yaw), np.sin(tilt) * np.sin(yaw), np.cos(tilt)])
    mount = upright_extrinsics(GroundPlane(normal, height, 100, 1.0, (5.0, 5.0), 0.0))
    np.testing.assert_allclose(mount[:3, :3] @ mount[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(mount[:3, 2], normal, atol=1e-9)
    assert np.linalg.det(mount[:3, :3]) == pytest.approx(1.0)
    above = float(normal @ mount[:3, 3]) + height
    assert above == pytest.approx(height if 0.7 <= height <= 12.0 else 1.9)
    if abs(normal[0]) < 0.9:
        assert mount[0, 0] > 0.0, "x stays ahead"


def test_a_single_look_says_nothing_and_looks_must_agree(clouds):
    cloud = min(clouds.values(), key=lambda cloud: abs(ground_of(cloud).height - 1.9))
    check = GroundCheck()
    for look in range(LOOKS):
        assert check.fault(NONE) == ""
        check.look(laid(cloud, MOUNTS["pitched"]))
        assert check.is_settled == (look == LOOKS - 1)
    assert "tilted" in check.fault(NONE)
    check.look(np.zeros((10, 4), np.float32))
    assert "tilted" in check.fault(NONE), "a cloud without ground is no reason to change"
    check.look(laid(cloud, [0.0, 0.0, 0.0, 0.0, -25.0, 0.0]))
    assert check.fault(NONE) == "", "now they differ"
    check.look(cloud)
    assert check.fault(NONE) == ""
    check.reset()
    assert not check.is_settled


@pytest.mark.parametrize("folder", ["real", "vls128", "opv2v_format_5agents"])
def test_real_clouds_say_nothing_and_are_told_where_they_lie_otherwise(shared_dir, folder):
    root = shared_dir / "data" / folder
    files = sorted(p for p in root.rglob("*") if p.suffix in (".bin", ".pcd"))
    if not files:
        pytest.skip(f"{root} is absent")
    for file in files:
        cloud = read_cloud(file, infrastructure=True)
        assert fault(cloud) == "", file
        for name in ("pitched", "upside down"):
            assert "--cloud-mount" in fault(laid(cloud, MOUNTS[name])), (file, name)
        if ground_of(cloud).height < 2.4:
            height = [0.0, 0.0, round(ground_of(cloud).height, 2), 0.0, 0.0, 0.0]
            assert "base_link" in fault(laid(cloud, height)), file
