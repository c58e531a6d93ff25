# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.rate_limit import TokenBucket


def test_a_burst_passes_and_then_the_rate():
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.1), bucket.take(0.1)] == [True, False]


def test_a_pause_never_saves_more_than_a_burst():
    bucket = TokenBucket(rate=10, burst=3)
    bucket.take(0.0)
    assert sum(bucket.take(1000.0) for _ in range(10)) == 3


@given(st.lists(st.floats(0, 10), max_size=200), st.floats(0.5, 50), st.floats(1, 20))
def test_no_pattern_gets_more_than_burst_and_rate(times, rate, burst):
    bucket = TokenBucket(rate, burst)
    passed = sum(bucket.take(now) for now in times)
    assert passed <= burst + rate * 10 + 1e-6


def test_a_clock_that_goes_back_gives_nothing_away():
    bucket = TokenBucket(rate=10, burst=1)
    assert bucket.take(100.0)
    assert not bucket.take(0.0)
    assert not bucket.take(100.0)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5), (float("nan"), 1)])
def test_settings_are_validated(rate, burst):
    with pytest.raises(ValueError, match=r"rate|burst"):
        TokenBucket(rate, burst)
