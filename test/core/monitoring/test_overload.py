# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""More sweeps than can be worked on: told with both rates."""

from __future__ import annotations

import pytest

from quantv2x_ros.core.monitoring.overload import Overload

MS = 1_000_000


def fed(seconds: float, *, speed: float = 1.0, every: int = 1, done_every: int = 1) -> Overload:
    """A sensor with 10 Hz in its own time; every n-th sweep comes, every m-th of those is done."""
    overload = Overload()
    for number in range(0, int(10 * seconds * speed), every):
        now = number / 10 / speed
        overload.note_sweep(number * 100 * MS, now)
        if number % done_every == 0:
            overload.note_done(now)
    return overload


def test_a_node_that_does_all_is_not_overloaded():
    assert fed(10.0).state(10.0) is None


def test_both_rates_are_told_with_what_to_do():
    state = fed(10.0, done_every=5).state(10.0)
    assert state is not None
    assert state.offered_hz == pytest.approx(10.0, rel=0.05)
    assert state.done_hz == pytest.approx(2.0, rel=0.15)
    assert "10.0 sweeps/s come" in str(state)
    assert "max_agents" in str(state)


def test_the_rate_is_that_of_the_steady_clock_where_a_replay_is_slow():
    state = fed(10.0, speed=0.3, done_every=3).state(10.0)
    assert state is not None
    assert state.offered_hz == pytest.approx(3.0, rel=0.1)


def test_sweeps_that_were_lost_on_the_way_count_too():
    overload = Overload()
    for number in range(100):
        if number % 4 in (0, 1):  # the step between two neighbours shows the sensor's period
            overload.note_sweep(number * 100 * MS, number / 10)
        if number % 4 == 1:
            overload.note_done(number / 10, 0.38)
    state = overload.state(10.0)
    assert state is not None
    assert state.offered_hz == pytest.approx(10.0, rel=0.05)
    assert state.done_hz == pytest.approx(2.5, rel=0.15)


def test_it_is_too_early_to_tell_in_the_first_seconds():
    assert fed(3.0, done_every=5).state(3.0) is None


def test_a_sensor_that_has_stopped_overloads_nobody():
    assert fed(10.0, done_every=5).state(20.0) is None


def test_a_step_back_in_time_begins_anew():
    overload = fed(10.0, done_every=5)
    overload.note_sweep(0, 10.0)
    assert overload.state(10.0) is None
    assert overload.period_ns is None


def test_a_slow_sensor_whose_every_sweep_is_done_late_overloads_nobody():
    overload = Overload()
    for number in range(20):
        overload.note_sweep(number * 100 * MS, 2.5 * number)
        if number:
            overload.note_done(2.5 * number - 0.1)  # just before the next one comes
        assert overload.state(2.5 * number + 2.0) is None


def test_an_irregular_sensor_overloads_no_node_that_has_time():
    overload = Overload()
    for number in range(60):
        stamp = number * 200 + (number % 3) * 60
        overload.note_sweep(stamp * MS, stamp / 1000)
        overload.note_done(stamp / 1000 + 0.05, 0.05)
        assert overload.state(stamp / 1000 + 0.1) is None
