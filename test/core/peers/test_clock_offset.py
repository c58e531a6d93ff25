# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A peer's clock offset, from one-way messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.clock_offset import LagMinimum, clock_offset


@pytest.mark.parametrize("offset", [-0.4, -0.02, 0.0, 0.15, 2.0])
def test_the_offset_is_found_under_jitter(offset):
    rng = np.random.default_rng(3)
    own, peer = LagMinimum(), LagMinimum()
    for tick in range(200):
        now = tick / 10
        own.add(0.06 + rng.exponential(0.02), now)
        peer.add(0.06 + rng.exponential(0.05) + offset, now)
    own_lag, peer_lag = own.value(20.0), peer.value(20.0)
    assert own_lag is not None
    assert peer_lag is not None
    assert clock_offset(peer_lag, own_lag) == pytest.approx(offset, abs=0.01)


def test_without_messages_there_is_no_lag():
    assert LagMinimum().value(0.0) is None


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(-5, 5)), min_size=1, max_size=80))
def test_it_is_the_minimum_of_the_window(events):
    lags, now, history = LagMinimum(window=5.0), 0.0, []
    for pause, lag in events:
        now += pause
        history.append((now, lag))
        lags.add(lag, now)
        assert lags.value(now) == min(lag for time, lag in history if now - time <= 5.0)
    assert lags.value(now + 6.0) is None


def test_the_window_is_validated():
    with pytest.raises(ValueError, match="window"):
        LagMinimum(0.0)
