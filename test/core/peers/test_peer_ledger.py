# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of stations: bounded, and not to be washed out by invented ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.peer_ledger import FORGET_AFTER, MAX_KNOWN, MAX_STRANGERS, PeerLedger


def test_a_station_is_known_by_when_it_was_heard_and_why_it_was_refused_last():
    ledger = PeerLedger()
    ledger.hear(2, 1.0)
    ledger.refuse(2, "late", "0.5 s old", 2.0)
    ledger.refuse(2, "grid", "64 rows", 3.0)
    entry = ledger.entries(4.0)[2]
    assert (entry.heard, entry.refusals, entry.reason) == (1.0, 2, "grid")
    assert (entry.text, entry.refused) == ("64 rows", 3.0)


def test_a_stranger_that_is_accepted_keeps_its_past():
    ledger = PeerLedger()
    ledger.refuse(7, "unsigned", "no signature", 1.0)
    ledger.hear(7, 2.0)
    assert ledger.entries(2.0)[7].reason == "unsigned"


def test_invented_stations_displace_each_other_alone():
    ledger = PeerLedger()
    ledger.hear(2, 0.0)
    for station in range(1000, 2000):
        ledger.refuse(station, "signature", "wrong", 1.0)
    kept = ledger.entries(2.0)
    assert sorted(kept) == [2, *range(2000 - MAX_STRANGERS, 2000)]


def test_the_silent_are_forgotten():
    ledger = PeerLedger()
    ledger.hear(2, 0.0)
    ledger.refuse(3, "late", "old", 1.0)
    assert sorted(ledger.entries(FORGET_AFTER)) == [2, 3]
    assert sorted(ledger.entries(FORGET_AFTER + 0.5)) == [3]
    ledger.reset()
    assert ledger.entries(1.0) == {}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=400))
def test_it_never_grows_past_its_bounds(events):
    ledger = PeerLedger()
    for time, (accepted, station) in enumerate(events):
        if accepted:
            ledger.hear(station, time / 100)
            assert station in ledger.entries(time / 100)
        else:
            ledger.refuse(station, "late", "old", time / 100)
        assert len(ledger.entries(time / 100)) <= MAX_KNOWN + MAX_STRANGERS
