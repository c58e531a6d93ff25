# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pose convention, from what genuine V2X-Real labels say about themselves.

Nothing here follows from the convention's description: a camera's place is stored twice, and the
labelled objects stand on one sloping road.
"""

import itertools

import numpy as np
import pytest
import yaml

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.scenario import Scenario

VEHICLE = "vehicle_1_000030.trimmed.yaml"
ROADSIDE = "infra_2_000000.trimmed.yaml"
SIGNS = list(itertools.product((1, -1), repeat=3))


@pytest.fixture
def genuine(shared_dir):
    def read(name):
        return yaml.safe_load((shared_dir / "data" / "v2x_real_yaml" / name).read_text())

    return read


def changed(pose, signs):
    """The pose with the signs of roll, yaw and pitch changed."""
    return [*pose[:3], *(sign * angle for sign, angle in zip(signs, pose[3:], strict=True))]


def test_the_lidar_pose_puts_the_camera_where_the_file_says_it_is(genuine):
    document = genuine(VEHICLE)
    camera = np.array(document["cam1"]["cords"][:3])
    mounted = np.append(np.array(document["cam1"]["extrinsic"])[:3, 3], 1.0)  # in the LiDAR frame

    def error(signs):
        pose = matrix_from_v2x(changed(document["lidar_pose"], signs))
        return np.linalg.norm((pose @ mounted)[:3] - camera)

    errors = {signs: error(signs) for signs in SIGNS}
    assert errors.pop((1, 1, 1)) < 1e-9
    assert min(errors.values()) > 0.01  # any other sign moves it by centimetres at least


@pytest.mark.parametrize("name", [VEHICLE, ROADSIDE])
def test_objects_stand_upright_on_the_road(genuine, name):
    objects = genuine(name)["vehicles"].values()

    def tilts(signs):
        """Angles between each object's upright and the plane through all their feet, degrees."""
        poses = [
            matrix_from_v2x(changed([*item["location"], *item["angle"]], signs)) for item in objects
        ]
        uprights = np.array([pose[:3, 2] for pose in poses])
        feet = np.array([pose[:3, 3] for pose in poses]) - uprights * np.array(
            [[item["extent"][2]] for item in objects]
        )
        plane, *_ = np.linalg.lstsq(np.column_stack([feet[:, :2], np.ones(len(feet))]), feet[:, 2])
        normal = np.array([-plane[0], -plane[1], 1.0])
        return np.degrees(np.arccos(uprights @ normal / np.linalg.norm(normal)))

    assert tilts((1, 1, 1)).max() < 2.0
    for wrong in ((-1, 1, -1), (-1, 1, 1), (1, 1, -1)):
        assert np.median(tilts(wrong)) > 3.5


def test_truth_in_the_ego_frame_stands_on_one_ground_below_the_sensor(
    genuine, shared_dir, tmp_path
):
    folder = tmp_path / "scene" / "1"
    folder.mkdir(parents=True)
    source = shared_dir / "data" / "v2x_real_yaml" / VEHICLE
    (folder / "000030.yaml").write_text(source.read_text())
    np.zeros((1, 4), np.float32).tofile(folder / "000030.bin")
    boxes, labels, ids = Scenario.open(tmp_path / "scene").frame("000030").truth("1")
    # Car, Van, TrashCan, ConcreteTruck, ScooterRider, Pedestrian, by the published class map
    classes = dict(zip(ids.tolist(), labels.tolist(), strict=True))
    assert classes == {2: 1, 4: 1, 6: 3, 12: 1, 16: 3, 18: 2, 30: 2, 59: 3}
    near = np.hypot(boxes[:, 0], boxes[:, 1]) < 60.0
    feet = boxes[near, 2] - boxes[near, 5] / 2
    assert near.sum() >= 4
    assert np.ptp(feet) < 1.5  # in the map they differ by more than 3 m: the road falls
    for box, object_id in zip(boxes, ids, strict=True):
        item = genuine(VEHICLE)["vehicles"][int(object_id)]
        assert box[3:6] == pytest.approx(2 * np.array(item["extent"]), rel=1e-6)
        heading = np.array([np.cos(box[6]), np.sin(box[6]), 0.0])
        pose = matrix_from_v2x(genuine(VEHICLE)["lidar_pose"])
        body = matrix_from_v2x([*item["location"], *item["angle"]])
        assert heading @ (pose[:3, :3].T @ body[:3, 0]) > 0.99
