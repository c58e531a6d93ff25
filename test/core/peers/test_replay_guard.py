# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was sent before is not heard again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.replay_guard import SEQUENCES, WINDOW_SWEEPS, ReplayError, ReplayGuard

MS = 1_000_000


def reason_of(guard, stamp_ms, sequence, tile=0):
    try:
        guard.admit(stamp_ms * MS, sequence, tile)
    except ReplayError as error:
        return error.reason
    return None


def test_every_tile_is_heard_once():
    guard = ReplayGuard(1.0)
    assert [reason_of(guard, 100, 5, tile) for tile in (1, 0, 1, 2, 0)] == [
        None,
        None,
        "replayed",
        None,
        "replayed",
    ]


def test_sweeps_may_overtake_each_other():
    guard = ReplayGuard(1.0)
    assert [reason_of(guard, stamp, stamp) for stamp in (200, 100, 300, 250)] == [None] * 4


def test_a_recording_is_refused_however_it_is_played():
    guard = ReplayGuard(1.0)
    for sequence in range(60):
        assert reason_of(guard, 100 * sequence, sequence) is None
    again = [reason_of(guard, 100 * sequence, sequence) for sequence in range(60)]
    assert set(again[:28]) == {"stale"}, "too old to be remembered"
    assert set(again[28:]) == {"replayed"}


def test_an_older_sweep_with_a_later_number_is_refused():
    guard = ReplayGuard(1.0)
    reason_of(guard, 300, 7)
    assert reason_of(guard, 200, 8) == "replayed"
    assert reason_of(guard, 200, 7) == "replayed"
    assert reason_of(guard, 200, 6) is None


def test_a_stamp_belongs_to_one_number():
    guard = ReplayGuard(1.0)
    reason_of(guard, 300, 7, tile=0)
    assert reason_of(guard, 300, 8, tile=1) == "replayed"


def test_numbers_wrap():
    guard = ReplayGuard(1.0)
    assert reason_of(guard, 200, 0) is None
    assert reason_of(guard, 100, SEQUENCES - 1) is None
    assert reason_of(guard, 300, 1) is None


def test_a_sender_that_starts_anew_is_heard():
    guard = ReplayGuard(1.0)
    reason_of(guard, 100, 900)
    assert reason_of(guard, 5000, 0) is None
    assert reason_of(guard, 5100, 1) is None


def test_what_fell_out_of_memory_stays_refused():
    guard = ReplayGuard(60.0)
    for sequence in range(WINDOW_SWEEPS + 10):
        reason_of(guard, 100 * sequence, sequence)
    assert reason_of(guard, 500, 5) == "stale"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3)), max_size=120))
def test_whatever_comes_nothing_is_admitted_twice_and_memory_is_bounded(messages):
    guard = ReplayGuard(2.0)
    admitted = [m for m in messages if reason_of(guard, 100 * m[0], m[1], m[2]) is None]
    assert len(set(admitted)) == len(admitted)
    assert len({(stamp, tile) for stamp, _, tile in admitted}) == len(admitted)
    assert len(guard._sweeps) <= WINDOW_SWEEPS


def test_the_window_is_validated():
    with pytest.raises(ValueError, match="window"):
        ReplayGuard(0.0)
