# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vehicle below the sensor is told from what passes a roadside unit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import is_ego_vehicle


def box(x, y, z, length=4.6, width=2.0, height=1.6, yaw=0.0):
    return np.array([[x, y, z, length, width, height, yaw]], np.float32)


@pytest.mark.parametrize("yaw", [0.0, np.pi, 0.1, -3.1])
def test_the_body_below_a_roof_sensor_is_the_carrier(yaw):
    assert is_ego_vehicle(box(-0.3, 0.1, -1.2, yaw=yaw)).all()


@pytest.mark.parametrize(
    ("what", "boxes"),
    [
        ("a car in the next lane", box(0.0, 3.5, -1.2)),
        ("a car ahead, bumper to bumper", box(5.0, 0.0, -1.2)),
        ("a car beside a pole, half under its sensor", box(0.2, 0.8, -1.4)),
        ("a car below a mast arm", box(0.0, 0.0, -4.4)),
        ("a bus below a mast arm", box(0.0, 0.0, -3.4, 11.0, 2.6, 3.2)),
        ("a pedestrian at the bumper", box(2.6, 0.0, -1.2, 0.6, 0.6, 1.7)),
    ],
)
def test_what_is_near_the_sensor_but_does_not_carry_it_is_kept(what, boxes):
    assert not is_ego_vehicle(boxes).any(), what


@given(angle=st.floats(-3.2, 3.2), x=st.floats(-4, 4), y=st.floats(-4, 4), z=st.floats(-5, 1))
def test_turning_the_frame_about_the_sensor_changes_nothing(angle, x, y, z):
    cos, sin = np.cos(angle), np.sin(angle)
    turned = box(x * cos - y * sin, x * sin + y * cos, z, yaw=angle)
    along, across = abs(x) / 4.6, abs(y) / 2.0
    if min(abs(along - 0.4), abs(across - 0.25), abs(z + 0.8 + 1.3)) > 1e-4:
        assert is_ego_vehicle(turned).tolist() == is_ego_vehicle(box(x, y, z)).tolist()


def test_no_boxes_are_no_carrier():
    assert is_ego_vehicle(np.zeros((0, 7), np.float32)).shape == (0,)
