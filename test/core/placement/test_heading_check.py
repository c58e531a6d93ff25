# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A car does not drive sideways: where its frame says so, the frame is another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import extrinsics_matrix
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.heading_check import HeadingCheck

NONE = PlacementRemedy(CloudPlacement())


def drive(metres, yaw=0.0, curve=0.0, noise=0.0, seed=0):
    """Poses of a frame that lies so on a car which drives on, 1 m apart; noise in metres."""
    rng = np.random.default_rng(seed)
    place, heading = np.zeros(2), 0.3
    for _ in range(metres):
        heading += curve
        place += [np.cos(heading), np.sin(heading)]
        x, y = place + rng.normal(0, noise, 2)
        car = extrinsics_matrix([x, y, 0, 0, 0, np.degrees(heading)])
        yield car @ extrinsics_matrix([0, 0, 0, 0, 0, yaw])


def said(poses):
    check = HeadingCheck()
    texts = []
    for pose in poses:
        check.move(pose)
        texts.append(check.fault(NONE))
    return texts


@given(st.floats(-0.05, 0.05), st.floats(0.0, 0.15), st.integers(0, 99))
def test_a_car_that_drives_as_its_frame_points_says_nothing(curve, noise, seed):
    assert set(said(drive(100, 0.0, curve, noise, seed))) == {""}


@pytest.mark.parametrize(
    ("yaw", "degrees", "side", "mount"),
    [(-90, 90, "left", "90.0"), (90, 90, "right", "-90.0"), (-45, 45, "left", "45.0")],
)
def test_a_frame_that_moves_sideways_is_told_with_its_mount(yaw, degrees, side, mount):
    texts = said(drive(60, yaw, curve=0.01, noise=0.05))
    assert texts[:15] == [""] * 15, "not before several metres"
    assert f"{degrees}° to the {side} of its x axis" in texts[-1] or yaw == -45
    assert f"cloud_mount: [0.0, 0.0, 0.0, 0.0, 0.0, {mount}]" in texts[-1]


def test_a_car_may_reverse_for_a_while_but_not_for_long():
    texts = said(drive(100, 180.0))
    assert texts[:50] == [""] * 50
    assert "0.0, 180.0]" in texts[-1] or "0.0, -180.0]" in texts[-1]


def test_a_station_that_stands_or_whose_localization_jumps_says_nothing():
    rng = np.random.default_rng(0)
    standing = [extrinsics_matrix([*rng.normal(0, 0.3, 2), 0, 0, 0, 0]) for _ in range(500)]
    assert set(said(standing)) == {""}
    jumping = [extrinsics_matrix([0, 45.0 * (k // 10), 0, 0, 0, 0]) for k in range(100)]
    assert set(said(jumping)) == {""}


def test_one_that_drives_on_rightly_is_forgiven():
    check = HeadingCheck()
    for pose in drive(60, -90):
        check.move(pose)
    assert check.fault(NONE)
    last = pose @ extrinsics_matrix([0, 0, 0, 0, 0, 90])
    for metres in range(30):
        check.move(last @ extrinsics_matrix([metres, 0, 0, 0, 0, 0]))
    assert check.fault(NONE) == ""
