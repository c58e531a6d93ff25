# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Own messages and those of another station with the same id."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.own_sweeps import MOST_WAITING, PATIENCE, REMEMBERED, OwnSweeps


def test_another_stations_sweep_is_found_after_a_while_and_once():
    sweeps = OwnSweeps(began_ns=0)
    sweeps.note(100)
    sweeps.hear(100, b"own", 0.0)
    sweeps.hear(150, b"foreign", 0.0)
    sweeps.hear(150, b"its second tile", 0.1)
    assert sweeps.foreign(PATIENCE - 0.1) == []
    assert sweeps.foreign(PATIENCE) == [b"foreign"]
    assert sweeps.foreign(PATIENCE + 5) == []


def test_an_own_message_may_overtake_the_news_of_its_sweep():
    sweeps = OwnSweeps(began_ns=0)
    sweeps.hear(100, b"own", 0.0)
    sweeps.note(100)
    assert sweeps.foreign(PATIENCE) == []


def test_what_was_sent_before_the_start_is_no_other_station():
    sweeps = OwnSweeps(began_ns=1000)
    sweeps.hear(900, b"of the run before", 0.0)
    assert sweeps.foreign(PATIENCE) == []


@given(st.lists(st.integers(1, 10**6)), st.sets(st.integers(1, 10**6)))
def test_memory_is_bounded_and_no_own_sweep_is_called_foreign(heard, own):
    own = sorted(own)[:REMEMBERED]
    sweeps = OwnSweeps(began_ns=0)
    for stamp in heard:
        sweeps.hear(stamp, str(stamp).encode(), 0.0)
    for stamp in own:
        sweeps.note(stamp)
    found = sweeps.foreign(PATIENCE)
    assert len(found) <= MOST_WAITING
    assert {int(content) for content in found} <= set(heard) - set(own)
