# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who is listened to, and how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.peers import (
    BURST,
    ESTABLISHED_AFTER,
    PROBATION,
    PeerLimits,
    PeerRefusedError,
    PeerTable,
    Standing,
)
from quantv2x_ros.core.peers.rate_limit import LoadBudget
from quantv2x_ros.core.peers.replay_guard import ReplayError

OWN = 1


def make(**limits):
    return PeerTable(OWN, PeerLimits(**{"max_peers": 3, **limits}))


def is_admitted(table, station, now, verified=False):
    if table.may_speak(station, now):
        return False
    try:
        table.admit(station, now, verified)
    except PeerRefusedError:
        return False
    return True


def test_stations_are_bounded_and_the_own_one_has_its_place():
    table = make()
    assert all(is_admitted(table, station, 0.0) for station in (2, 3, 4))
    with pytest.raises(PeerRefusedError) as error:
        table.admit(5, 0.1, verified=False)
    assert error.value.reason == "too_many_stations"
    assert is_admitted(table, OWN, 0.1)
    assert len(table) == 4


def test_an_outsider_cannot_push_out_a_peer_that_works():
    table = make()
    for station in (2, 3, 4):
        is_admitted(table, station, 0.0)
    for tick in range(1, 200):
        now = tick / 10
        for station in (2, 3, 4):
            assert is_admitted(table, station, now)
        table.note_fused((2, 3, 4), now)
        for invented in range(1000 * tick, 1000 * tick + 20):
            assert not is_admitted(table, invented, now)
    assert all(station in table for station in (2, 3, 4))


def test_stations_that_are_never_fused_do_not_hold_their_places():
    table = make()
    for station in (2, 3, 4):
        is_admitted(table, station, station / 10)
    table.note_fused((2,), 0.4)
    assert not is_admitted(table, 5, PROBATION)
    assert is_admitted(table, 5, 0.35 + PROBATION)
    assert 2 in table, "it works"
    assert 3 not in table, "it had its chance first"
    assert table.take_evicted() == [3]
    assert table.take_evicted() == []


def test_a_silent_peer_makes_room():
    table = make(forget_after=2.0)
    for station in (2, 3, 4):
        is_admitted(table, station, 0.0)
        table.note_fused((station,), 0.0)
    is_admitted(table, 2, 1.5)
    table.note_fused((2,), 1.5)
    assert is_admitted(table, 5, 2.5)
    assert sorted(table.take_evicted()) == [3, 4]
    assert 2 in table


def test_a_verified_station_finds_room_among_unverified_ones_alone():
    table = make()
    is_admitted(table, 2, 0.0, verified=True)
    for station in (3, 4):
        is_admitted(table, station, 0.0)
    table.note_fused((2, 3, 4), 0.0)
    assert is_admitted(table, 5, 0.1, verified=True)
    assert is_admitted(table, 6, 0.2, verified=True)
    assert not is_admitted(table, 7, 0.3, verified=True), "only verified ones are left"
    assert {station for station in range(9) if station in table} == {2, 5, 6}


def test_a_tracked_station_has_its_own_rate():
    table = make(rate=100.0)
    is_admitted(table, 2, 0.0)
    is_admitted(table, 3, 0.0)
    passed = sum(is_admitted(table, 2, tick / 10_000) for tick in range(10_000))
    assert 100 <= passed <= 127
    assert table.may_speak(2, 1.0) == "rate"
    assert is_admitted(table, 3, 1.0), "another station does not suffer"


def test_invented_stations_share_one_rate():
    table = make(newcomer_rate=40.0)
    is_admitted(table, 2, 0.0)
    spoke, reasons = 0, set()
    for tick in range(10_000):
        reason = table.may_speak(1_000_000 + tick, tick / 10_000)
        reasons.add(reason)
        spoke += reason == ""
    assert spoke <= 51
    assert reasons == {"", "rate_newcomers"}
    assert is_admitted(table, 2, 1.0), "a tracked station does not suffer"
    assert table.may_speak(OWN, 1.0) == ""


def test_standing_is_what_was_shown_of_late():
    table = make(forget_after=2.0)
    peer = table.admit(2, 0.0, verified=False)
    assert table.standing(peer, 0.0) is Standing.NEWCOMER
    table.note_fused((2, 99), 1.0)
    assert table.standing(peer, 3.0) is Standing.WORKING
    assert table.standing(peer, 3.1) is Standing.NEWCOMER
    assert table.standing(table.admit(2, 4.0, verified=True), 4.0) is Standing.VERIFIED


def test_reset_forgets_everyone():
    table = make()
    is_admitted(table, 2, 0.0)
    table.reset()
    assert len(table) == 0


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.floats(0, 0.5)), max_size=100))
def test_whoever_comes_the_table_is_bounded_and_says_whom_it_lost(events):
    table, now, known = make(), 0.0, set()
    for station, verified, pause in events:
        now += pause
        if is_admitted(table, station, now, verified):
            known.add(station)
        known -= set(table.take_evicted())
        assert known == {s for s in range(13) if s in table}
        assert len(known - {OWN}) <= 3


@pytest.mark.parametrize("change", ["max_peers", "rate", "newcomer_rate", "forget_after"])
def test_limits_are_validated(change):
    with pytest.raises(ValueError, match=change):
        PeerLimits(**{change: 0})


def test_newcomers_together_take_no_more_time_than_their_share():
    table = make(newcomer_load=0.05, rate=1e5, newcomer_rate=1e5, sweeps=0.1)
    taken = 0.0
    for tick in range(100_000):
        now, station = tick / 10_000, 2 + tick % 3  # 10,000 messages a second of three stations
        if not table.may_speak(station, now):
            table.admit(station, now, verified=False)
            table.spend(station, 0.002, 1 / 16, now)
            taken += 0.002
    assert taken == pytest.approx(BURST + 0.05 * 10.0, abs=0.01)
    assert table.may_speak(2, 10.0) == "load_newcomers"
    assert table.may_speak(OWN, 10.0) == ""


def test_a_station_of_use_has_its_own_share_whatever_newcomers_do():
    table = make(load=0.25, newcomer_load=0.05)
    table.admit(2, 0.0, verified=False)
    table.note_fused((2,), 0.0)
    table.admit(3, 0.0, verified=False)
    assert table.may_speak(3, 0.0) == ""
    table.spend(3, 100.0, 2000.0, 0.0)
    assert table.may_speak(3, 1.0) == "load_newcomers"
    assert table.may_speak(2, 1.0) == ""
    table.spend(2, BURST + 0.25, 100.0, 1.0)
    assert table.may_speak(2, 1.5) == "load"
    assert table.may_speak(2, 3.0) == ""


def test_an_honest_station_alone_is_never_refused_however_slow_the_machine():
    table = make()
    for sweep in range(100):  # ten a second of ten tiles, each of which takes 80 ms here
        for _tile in range(10):
            now = sweep / 10
            assert table.may_speak(2, now) == ""
            table.admit(2, now, verified=False)
            table.spend(2, 0.08, 0.1, now)
        if sweep >= 50:
            table.note_fused((2,), now)  # its own budget from here on


def test_what_is_assured_is_shared_by_all_newcomers():
    table, passed = make(max_peers=30, rate=1e5, newcomer_rate=1e5), 0
    for tick in range(10_000):  # in ten seconds
        now, station = tick / 1000, 2 + tick % 30
        if not table.may_speak(station, now):
            table.admit(station, now, verified=False)
            table.spend(station, 0.1, 1.0, now)
            passed += 1
    assert passed == pytest.approx(10 + 20 * 10, abs=2)


def test_a_station_works_while_it_is_in_a_slow_machines_frames():
    table = make(forget_after=2.0)
    for station in (2, 3):
        table.admit(station, 0.0, verified=False)
    for frame in range(8):
        table.note_fused((2,) if frame else (2, 3), 10.0 * frame)
    assert table.standing_of(2, 79.0) > Standing.NEWCOMER
    assert table.standing_of(3, 79.0) is Standing.NEWCOMER


def test_a_station_that_works_for_long_is_established_until_there_is_a_gap():
    table = make(forget_after=2.0)
    table.admit(2, 0.0, verified=False)
    times = np.arange(0.0, ESTABLISHED_AFTER + 0.5)
    for now in times:
        assert table.standing_of(2, now) < Standing.ESTABLISHED
        table.note_fused((2,), now)
    assert table.standing_of(2, times[-1]) is Standing.ESTABLISHED
    later = times[-1] + 10.0
    for tick in range(8):  # others are fused
        table.note_fused((), times[-1] + tick)
    assert table.standing_of(2, later) is Standing.NEWCOMER
    table.note_fused((2,), later)
    assert table.standing_of(2, later) is Standing.WORKING


def test_a_check_remembers_nothing():
    table = make()
    table.check(2, 100, 1, 0, 0.0, verified=False)
    assert 2 not in table
    table.admit(2, 0.0, verified=False).guard.admit(100, 1, 0)
    with pytest.raises(ReplayError, match="came before"):
        table.check(2, 100, 1, 0, 0.1, verified=False)
    for station in (3, 4):
        table.admit(station, 0.0, verified=False)
    with pytest.raises(PeerRefusedError, match="one more than the 3"):
        table.check(5, 100, 1, 0, 0.1, verified=False)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), max_size=60))
def test_time_is_only_taken_while_some_is_left(steps):
    budget, now, taken, last = LoadBudget(0.2, 0.5), 0.0, 0.0, 0.0
    for pause, cost in steps:
        now += pause
        if budget.is_left(now):
            budget.spend(cost)
            taken, last = taken + cost, cost
    assert taken - last <= 0.5 + 0.2 * now + 1e-9
