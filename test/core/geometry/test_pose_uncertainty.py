# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses that say they are uncertain are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import PoseUncertaintyError, check_uncertainty


def covariance(x=0.0, y=0.0, xy=0.0, heading=0.0):
    matrix = np.zeros((6, 6))
    matrix[0, 0], matrix[1, 1], matrix[5, 5] = x, y, heading
    matrix[0, 1] = matrix[1, 0] = xy
    return matrix.ravel()


def reason_of(*args, **kwargs):
    try:
        check_uncertainty(covariance(*args, **kwargs), 1.0, 0.05, "station 2")
    except PoseUncertaintyError as error:
        return error.reason
    return None


def test_an_unknown_covariance_passes():
    assert reason_of() is None


def test_limits_are_standard_deviations():
    assert reason_of(x=0.99, y=0.99, heading=0.0499**2) is None
    assert reason_of(x=1.1**2) == "pose_uncertain"
    assert reason_of(y=1.1**2) == "pose_uncertain"
    assert reason_of(heading=0.06**2) == "pose_uncertain"


def test_the_worst_direction_counts():
    assert reason_of(x=0.7, y=0.7) is None
    assert reason_of(x=0.7, y=0.7, xy=0.6) == "pose_uncertain"


def test_both_values_are_named():
    with pytest.raises(PoseUncertaintyError, match=r"station 2 .* 3 m, allowed are 1 m"):
        check_uncertainty(covariance(x=9.0), 1.0, 0.05, "station 2")


@pytest.mark.parametrize(
    "bad", [{"x": -1.0}, {"heading": -1.0}, {"x": np.nan}, {"y": np.inf}, {"x": 0.1, "y": -0.1}]
)
def test_what_is_no_covariance_is_refused(bad):
    assert reason_of(**bad) == "pose"


@given(st.lists(st.floats(allow_nan=True), min_size=36, max_size=36))
def test_any_numbers_pass_or_are_refused(numbers):
    reason = None
    try:
        check_uncertainty(numbers, 1.0, 0.05, "station 2")
    except PoseUncertaintyError as error:
        reason = error.reason
    assert reason in (None, "pose", "pose_uncertain")
