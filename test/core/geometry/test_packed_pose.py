# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A pose and its uncertainty in a packet's bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transforms3d.euler import euler2mat

from quantv2x_ros.core.geometry.packed_pose import (
    MAX_HEIGHT,
    POSE_BYTES,
    SPREAD_BYTES,
    PoseSpread,
    pack_pose,
    sent_pose,
    unpack_pose,
)
from quantv2x_ros.core.geometry.pose import PoseError

ANGLES = st.floats(-np.pi, np.pi)


def pose_of(
    place: tuple[float, float, float], angles: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = euler2mat(*angles), place
    return pose


@given(
    st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7), st.floats(-8000, 8000)),
    st.tuples(ANGLES, ANGLES, ANGLES),
)
def test_a_pose_comes_back_within_its_steps(
    place: tuple[float, float, float], angles: tuple[float, float, float]
) -> None:
    pose = pose_of(place, angles)
    packed = pack_pose(pose)
    assert len(packed) == POSE_BYTES
    got = unpack_pose(packed)
    assert np.abs(got[:2, 3] - pose[:2, 3]).max() <= 0.0025 + 1e-8
    assert abs(got[2, 3] - pose[2, 3]) <= 0.0005 + 1e-8
    turn = got[:3, :3] @ pose[:3, :3].T
    sine = np.linalg.norm(turn - turn.T) / np.sqrt(8)
    assert np.degrees(sine) < 0.009


@given(st.binary(min_size=POSE_BYTES, max_size=POSE_BYTES))
def test_any_bytes_are_a_rigid_pose_or_refused(packed: bytes) -> None:
    try:
        pose = unpack_pose(packed)
    except PoseError:
        return
    assert np.isfinite(pose).all()
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(sent_pose(pose)[:3, 3], pose[:3, 3], atol=1e-6)


@pytest.mark.parametrize("place", [(0.0, 0.0, MAX_HEIGHT + 1), (1.1e7, 0.0, 0.0)])
def test_a_place_that_no_packet_holds_is_refused(place: tuple[float, float, float]) -> None:
    with pytest.raises(PoseError, match="m"):
        pack_pose(pose_of(place, (0.0, 0.0, 0.0)))


@given(
    st.floats(0.001, 200.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, np.pi),
    st.floats(0.0001, 2.0),
)
def test_an_uncertainty_never_comes_back_smaller_nor_much_larger(
    major: float, ratio: float, direction: float, heading: float
) -> None:
    spread = PoseSpread(major, major * ratio, direction, heading)
    told = PoseSpread.of(spread.covariance)
    assert told.major == pytest.approx(spread.major)
    packed = told.pack()
    assert len(packed) == SPREAD_BYTES
    got = PoseSpread.unpack(packed)
    assert told.major * (1 - 1e-9) <= got.major <= 1.05 * told.major
    assert told.minor * (1 - 1e-9) <= got.minor <= max(1.05 * told.minor, 0.001)
    assert told.heading * (1 - 1e-9) <= got.heading <= 1.04 * told.heading + 1e-12
    covariance = got.covariance.reshape(6, 6)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_an_unknown_uncertainty_stays_unknown() -> None:
    spread = PoseSpread.of(np.zeros(36))
    assert PoseSpread.unpack(spread.pack()).covariance.tolist() == [0.0] * 36


def test_what_lies_beyond_the_largest_step_is_the_largest() -> None:
    got = PoseSpread.unpack(PoseSpread(1e6, 1e6, 0.0, 3.1).pack())
    assert got.major > 200
    assert got.heading > 2


@pytest.mark.parametrize("place", [0, 7, 35])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_what_is_no_covariance_is_refused(place: int, value: float) -> None:
    covariance = np.zeros(36)
    covariance[place] = value
    with pytest.raises(PoseError, match="covariance"):
        PoseSpread.of(covariance)
