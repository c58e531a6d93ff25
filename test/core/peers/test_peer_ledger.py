# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of stations: bounded, and not to be washed out by invented ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.peer_ledger import PeerEntry, PeerLedger
from quantv2x_ros.core.peers.peers import PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.registry import MAX_STRANGERS, PeerRegistry


class Air:
    """Stations that are heard, and those that are refused."""

    def __init__(self):
        self.registry = PeerRegistry(1, PeerLimits())
        self.ledger = PeerLedger(self.registry)
        self.hear, self.refuse = self.registry.admit, self.ledger.refuse
        self.entries = self.ledger.entries


def test_a_station_is_known_by_when_it_was_heard_and_why_it_was_refused_last():
    air = Air()
    air.hear(2, 1.0)
    air.refuse(2, "late", "0.5 s old", 2.0)
    air.refuse(2, "grid", "64 rows", 3.0)
    entry = air.entries(4.0)[2]
    assert (entry.heard, entry.refusals, entry.reason) == (1.0, 2, "grid")
    assert (entry.text, entry.refused) == ("64 rows", 3.0)


def test_one_that_was_heard_alone_or_refused_alone_is_told_as_that():
    air = Air()
    air.hear(3, 1.0)
    air.refuse(2, "late", "old", 2.0)
    air.registry.meet(4, 2.0)  # of which nothing is to be told
    assert list(air.entries(2.0).items()) == [
        (2, PeerEntry(None, 1, "late", "old", 2.0)),
        (3, PeerEntry(1.0)),
    ]


def test_a_stranger_that_is_accepted_keeps_its_past():
    air = Air()
    air.refuse(7, "unsigned", "no signature", 1.0)
    air.hear(7, 2.0)
    assert air.entries(2.0)[7].reason == "unsigned"


def test_invented_stations_displace_each_other_alone():
    air = Air()
    air.hear(2, 0.0)
    for station in range(1000, 2000):
        air.refuse(station, "signature", "wrong", 1.0)
    kept = air.entries(2.0)
    assert sorted(kept) == [2, *range(2000 - MAX_STRANGERS, 2000)]


def test_the_silent_are_forgotten():
    air = Air()
    forget_after = air.registry.limits.forget_after
    air.hear(2, 0.0)
    air.refuse(3, "late", "old", 1.0)
    assert sorted(air.entries(forget_after)) == [2, 3]
    assert sorted(air.entries(forget_after + 0.5)) == [3]
    air.registry.reset()
    assert air.entries(1.0) == {}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=400))
def test_it_never_grows_past_its_bounds(events):
    air = Air()
    for time, (accepted, station) in enumerate(events):
        now = time / 100
        if accepted:
            try:
                air.hear(station, now)
            except PeerRefusedError as error:
                air.refuse(station, error.reason, str(error), now)
        else:
            air.refuse(station, "late", "old", now)
        entries = air.entries(now)
        assert station in entries
        assert len(entries) <= air.registry.limits.max_peers + 1 + MAX_STRANGERS
