# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of each station is listened to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.admission import BURST, PeerAdmission
from quantv2x_ros.core.peers.peers import PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.rate_limit import LoadBudget
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.peers.replay_guard import ReplayError

OWN = 1


class Air:
    """Stations that send ever new messages, and their admission."""

    def __init__(self, **limits):
        self.registry = PeerRegistry(OWN, PeerLimits(**{"max_peers": 3, **limits}))
        self.admission = PeerAdmission(self.registry)
        self.may_speak = self.admission.may_speak
        self.spend = self.admission.spend
        self.sent = 0

    def admit(self, station, now):
        self.sent += 1
        return self.admission.admit(station, self.sent, self.sent, 0, now, verified=False)

    def is_admitted(self, station, now):
        if self.may_speak(station, now):
            return False
        try:
            self.admit(station, now)
        except PeerRefusedError:
            return False
        return True


def test_a_tracked_station_has_its_own_rate():
    air = Air(rate=100.0)
    air.is_admitted(2, 0.0)
    air.is_admitted(3, 0.0)
    passed = sum(air.is_admitted(2, tick / 10_000) for tick in range(10_000))
    assert 100 <= passed <= 127
    assert air.may_speak(2, 1.0) == "rate"
    assert air.is_admitted(3, 1.0), "another station does not suffer"


def test_invented_stations_share_one_rate():
    air = Air(newcomer_rate=40.0)
    air.is_admitted(2, 0.0)
    spoke, reasons = 0, set()
    for tick in range(10_000):
        reason = air.may_speak(1_000_000 + tick, tick / 10_000)
        reasons.add(reason)
        spoke += reason == ""
    assert spoke <= 51
    assert reasons == {"", "rate_newcomers"}
    assert air.is_admitted(2, 1.0), "a tracked station does not suffer"
    assert air.may_speak(OWN, 1.0) == ""
    assert len(air.registry.records()) == 1, "who may not speak leaves nothing behind"


def test_newcomers_together_take_no_more_time_than_their_share():
    air = Air(newcomer_load=0.05, rate=1e5, newcomer_rate=1e5, sweeps=0.1)
    taken = 0.0
    for tick in range(100_000):
        now, station = tick / 10_000, 2 + tick % 3  # 10,000 messages a second of three stations
        if not air.may_speak(station, now):
            air.admit(station, now)
            air.spend(station, 0.002, 1 / 16, now)
            taken += 0.002
    assert taken == pytest.approx(BURST + 0.05 * 10.0, abs=0.01)
    assert air.may_speak(2, 10.0) == "load_newcomers"
    assert air.may_speak(OWN, 10.0) == ""


def test_a_station_of_use_has_its_own_share_whatever_newcomers_do():
    air = Air(load=0.25, newcomer_load=0.05)
    air.admit(2, 0.0)
    air.registry.note_fused((2,), 0.0)
    air.admit(3, 0.0)
    assert air.may_speak(3, 0.0) == ""
    air.spend(3, 100.0, 2000.0, 0.0)
    assert air.may_speak(3, 1.0) == "load_newcomers"
    assert air.may_speak(2, 1.0) == ""
    air.spend(2, BURST + 0.25, 100.0, 1.0)
    assert air.may_speak(2, 1.5) == "load"
    assert air.may_speak(2, 3.0) == ""


def test_an_honest_station_alone_is_never_refused_however_slow_the_machine():
    air = Air()
    for sweep in range(100):  # ten a second of ten tiles, each of which takes 80 ms here
        for _tile in range(10):
            now = sweep / 10
            assert air.may_speak(2, now) == ""
            air.admit(2, now)
            air.spend(2, 0.08, 0.1, now)
        if sweep >= 50:
            air.registry.note_fused((2,), now)  # its own budget from here on


def test_what_is_assured_is_shared_by_all_newcomers():
    air, passed = Air(max_peers=30, rate=1e5, newcomer_rate=1e5), 0
    for tick in range(10_000):  # in ten seconds
        now, station = tick / 1000, 2 + tick % 30
        if not air.may_speak(station, now):
            air.admit(station, now)
            air.spend(station, 0.1, 1.0, now)
            passed += 1
    assert passed == pytest.approx(10 + 20 * 10, abs=2)


def test_a_check_remembers_nothing_and_finds_what_was_sent_before():
    air = Air()
    message = 100, 1, 0
    air.admission.check(2, *message, 0.0, verified=False)
    assert 2 not in air.registry
    air.admission.admit(2, *message, 0.0, verified=False)
    with pytest.raises(ReplayError, match="came before"):
        air.admission.check(2, *message, 0.1, verified=False)
    with pytest.raises(ReplayError, match="came before"):
        air.admission.admit(2, *message, 0.1, verified=False)
    for station in (3, 4):
        air.admit(station, 0.0)
    with pytest.raises(PeerRefusedError, match="one more than the 3"):
        air.admission.check(5, *message, 0.1, verified=False)


def test_the_own_stations_messages_may_come_again():
    air = Air()
    for _ in range(2):
        air.admission.check(OWN, 100, 1, 0, 0.0, verified=False)
        air.admission.admit(OWN, 100, 1, 0, 0.0, verified=False)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), max_size=60))
def test_time_is_only_taken_while_some_is_left(steps):
    budget, now, taken, last = LoadBudget(0.2, 0.5), 0.0, 0.0, 0.0
    for pause, cost in steps:
        now += pause
        if budget.is_left(now):
            budget.spend(cost)
            taken, last = taken + cost, cost
    assert taken - last <= 0.5 + 0.2 * now + 1e-9
