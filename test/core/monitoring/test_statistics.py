# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, latencies and counts."""

from __future__ import annotations

import pytest

from quantv2x_ros.core.monitoring.statistics import Drops, RateMeter, StageTimes


def test_rate_of_regular_events():
    meter = RateMeter(window=3.0)
    for tick in range(100):
        meter.tick(tick / 10)
    assert meter.rate(9.9) == pytest.approx(10.0, rel=0.05)


def test_rate_falls_to_zero_when_events_stop():
    meter = RateMeter(window=2.0)
    for tick in range(20):
        meter.tick(tick / 10)
    assert 0 < meter.rate(3.0) < 10
    assert meter.rate(10.0) == 0.0


def test_stages_report_median_and_95th_percentile_of_the_last_frames():
    times = StageTimes(frames=100)
    times.add({"encode": 1e6})
    for value in range(100):
        times.add({"encode": float(value), "fuse": 5.0})
    median, high = times.summary()["encode"]
    assert median == pytest.approx(49.5)
    assert high == pytest.approx(94.05)
    assert times.summary()["fuse"] == (5.0, 5.0)


def test_drops_are_counted_by_reason_with_the_latest_text():
    drops = Drops()
    assert drops.add("late", "0.4 s") is True
    assert drops.add("late", "0.5 s") is False
    assert drops.add("crc", "a") is True
    assert drops.total == 3
    assert drops.items() == [("late", 2, "0.5 s"), ("crc", 1, "a")]
