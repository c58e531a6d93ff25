# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A station says itself what receivers refuse."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.peers.self_check import SelfCheck


def findings(lags=(0.1,), covariance=None):
    check = SelfCheck()
    for number, lag in enumerate(lags):
        check.note(lag, np.zeros(36) if covariance is None else covariance, number / 10)
    return check.findings(len(lags) / 10)


def covariance(**variances):
    matrix = np.zeros((6, 6))
    for name, value in variances.items():
        matrix["xyzrpw".index(name), "xyzrpw".index(name)] = value
    return matrix.ravel()


def test_a_healthy_station_has_nothing_to_say():
    assert findings() == {}
    assert findings(lags=(0.9, -0.3)) == {}
    assert findings(covariance=covariance(x=1.0, y=1.0, w=0.001)) == {}


@pytest.mark.parametrize(
    ("seconds", "scale"), [(37.0, "(TAI)"), (17.9, "(GPS time)"), (5.0, "5.0")]
)
def test_stamps_ahead_are_named_with_both_values_and_the_scale(seconds, scale):
    text = findings(lags=(-seconds, 0.05 - seconds))["own_stamps"]
    assert f"{seconds:.1f} s ahead" in text
    assert "more than 0.5 s" in text
    assert scale in text


def test_stamps_behind_are_named():
    text = findings(lags=(37.2, 37.0))["own_stamps"]
    assert "37.0 s behind" in text
    assert "bag" not in text
    assert "use_sim_time" in findings(lags=(1e8,))["own_stamps"]


def test_one_late_sweep_is_no_wrong_clock():
    assert findings(lags=(0.1, 3.0, 4.0)) == {}


@pytest.mark.parametrize(
    ("variances", "text"),
    [({"x": 9.0}, "3 m, allowed are 2 m"), ({"w": 0.01}, "0.1 rad, allowed are 0.0524 rad")],
)
def test_a_pose_that_receivers_refuse_is_named_with_both_values(variances, text):
    found = findings(covariance=covariance(**variances))["own_pose"]
    assert text in found
    assert "max_position_sigma" in found


def test_a_covariance_that_is_none_is_named():
    assert "not one of x, y and heading" in findings(covariance=covariance(x=-1.0))["own_pose"]


def test_what_is_mended_or_forgotten_is_not_told_any_more():
    check = SelfCheck()
    check.note(-37.0, covariance(x=9.0), 0.0)
    check.note(0.1, np.zeros(36), 1.0)
    assert set(check.findings(1.0)) == {"own_stamps"}, "the shortest lag of some seconds counts"
    assert check.findings(5.5) == {}
    check.note(-37.0, covariance(x=9.0), 6.0)
    check.reset()
    assert check.findings(6.0) == {}
