# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses as matrices, as in V2V4Real, and the labels beside them."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.agent_yaml import read_agent_yaml
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import write_agent_frame

POSE = (420.0, -310.0, 12.0, 1.0, 35.0, -2.0)
IN_LIDAR = {4: (20.0, 5.0, -1.1), 5: (-15.0, 3.0, -1.0)}


def v2v4real(folder, places, pose=POSE):
    """A vehicle's frame as V2V4Real writes it: a matrix, a vector of speed, a .pcd."""
    from pypcd4 import PointCloud

    folder.mkdir(parents=True)
    document = {
        "lidar_pose": matrix_from_v2x(pose),
        "true_ego_pos": matrix_from_v2x(pose),
        "ego_speed": np.array([3.0, 0.1, 0.0]),
        "vehicles": {
            number: {
                "location": [float(value) for value in place],
                "center": [0, 0, 0],
                "angle": [0, 30, 0],
                "extent": [2.2, 0.9, 0.8],
                "obj_type": "Car",
            }
            for number, place in places.items()
        },
    }
    (folder / "000000.yaml").write_text(yaml.dump(document))
    points = np.random.default_rng(1).uniform(-30, 30, (50, 3)).astype(np.float32)
    PointCloud.from_xyz_points(points).save(folder / "000000.pcd")
    return folder.parent


def test_a_frame_of_v2v4real_is_read(tmp_path):
    frame = Scenario.open(v2v4real(tmp_path / "0", IN_LIDAR)).frame("000000")
    np.testing.assert_allclose(frame["0"].pose, matrix_from_v2x(POSE), atol=1e-9)
    boxes = frame.truth("0").boxes
    np.testing.assert_allclose(boxes[:, :3], list(IN_LIDAR.values()), atol=1e-4)
    np.testing.assert_allclose(boxes[:, 6], np.radians(30.0), atol=1e-5)
    assert len(frame["0"].points) > 40


def test_labels_in_the_map_beside_a_matrix_are_told_from_them(tmp_path):
    matrix = matrix_from_v2x(POSE)
    places = {n: matrix[:3, :3] @ np.array(p) + matrix[:3, 3] for n, p in IN_LIDAR.items()}
    frame = Scenario.open(v2v4real(tmp_path / "0", places)).frame("000000")
    boxes = frame.truth("0").boxes
    np.testing.assert_allclose(boxes[:, :3], list(IN_LIDAR.values()), atol=1e-3)


def test_the_height_tells_them_apart_near_the_origin_of_the_map(tmp_path):
    pose = (5.0, 0.0, 1.9, 0.0, 0.0, 0.0)
    places = {4: (20.0, 5.0, 0.8), 5: (-15.0, 3.0, 0.9)}  # above the map's ground
    frame = Scenario.open(v2v4real(tmp_path / "0", places, pose)).frame("000000")
    np.testing.assert_allclose(frame.truth("0").boxes[0, :3], (15.0, 5.0, -1.1), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    pose=st.tuples(
        *[st.floats(-1e4, 1e4)] * 3, st.floats(-20, 20), st.floats(-180, 180), st.floats(-20, 20)
    ),
    as_list=st.booleans(),
)
def test_a_pose_is_the_same_as_a_matrix_and_as_six_numbers(tmp_path_factory, pose, as_list):
    path = tmp_path_factory.mktemp("pose") / "000000.yaml"
    matrix = matrix_from_v2x(pose)
    path.write_text(yaml.dump({"lidar_pose": matrix.tolist() if as_list else matrix}))
    record = read_agent_yaml(path)
    assert record.has_matrix
    np.testing.assert_allclose(matrix_from_v2x(record.lidar_pose), matrix, atol=1e-8)


@pytest.mark.parametrize(
    ("matrix", "problem"),
    [
        (np.eye(3), r"each row of lidar_pose must be 4 finite numbers"),
        (np.full((4, 4), np.nan), r"must be 4 finite numbers"),
        (2.0 * np.eye(4), "its 3 x 3 part is not a rotation"),
        (np.eye(4)[:3], r"got shape \(3, 4\)"),
    ],
)
def test_a_matrix_that_is_no_pose_is_refused(tmp_path, matrix, problem):
    path = tmp_path / "000000.yaml"
    path.write_text(yaml.dump({"lidar_pose": matrix}))
    with pytest.raises(DatasetError, match=f"neither 6 numbers nor a 4 x 4 matrix.*{problem}"):
        read_agent_yaml(path)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (12.5, 12.5),
        (float("nan"), None),
        ([1.0, 2.0, 3.0], None),
        (np.array([1.0, 2.0]), None),
        (np.float64(3.0), 3.0),
        ("fast", None),
        (10**400, None),
        (True, None),
    ],
)
def test_no_speed_makes_a_frame_unusable(tmp_path, speed, expected):
    path = tmp_path / "000000.yaml"
    path.write_text(yaml.dump({"lidar_pose": [0.0] * 6, "ego_speed": speed}))
    assert read_agent_yaml(path).speed == expected


def test_suffixes_are_the_same_in_capital_letters_and_yml_is_yaml(tmp_path):
    points = np.random.default_rng(0).uniform(-30, 30, (40, 4)).astype(np.float32)
    for agent in ("1", "2"):
        write_agent_frame(
            tmp_path / agent,
            "000000",
            points,
            lidar_pose=[0.0] * 6,
            objects=[],
            infrastructure=False,
        )
    (tmp_path / "1" / "000000.bin").rename(tmp_path / "1" / "000000.BIN")
    (tmp_path / "2" / "000000.yaml").rename(tmp_path / "2" / "000000.yml")
    v2v4real(tmp_path / "3", {})
    (tmp_path / "3" / "000000.pcd").rename(tmp_path / "3" / "000000.PCD")
    (tmp_path / "3" / "000000.yaml").rename(tmp_path / "3" / "000000.YML")
    frame = Scenario.open(tmp_path).frame("000000")
    assert list(frame.agents) == ["1", "2", "3"]
    np.testing.assert_array_equal(frame["1"].points, frame["2"].points)
    assert len(frame["3"].points) > 40
