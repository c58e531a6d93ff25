# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One record of each station: bounded, and forgotten as a whole."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.coding.wire import EntropyModel, encode_indices
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.admission import PeerAdmission
from quantv2x_ros.core.peers.clock_offset import LagMinimum
from quantv2x_ros.core.peers.peer_ledger import PeerLedger
from quantv2x_ros.core.peers.peers import (
    ESTABLISHED_AFTER,
    PROBATION,
    PeerField,
    PeerLimits,
    PeerRefusedError,
    Standing,
)
from quantv2x_ros.core.peers.registry import MAX_STRANGERS, PeerRegistry
from quantv2x_ros.core.peers.whereabouts import Whereabouts
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.reception import Reception
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.tiles import IndexMapFormat, TilePlace
from quantv2x_ros.core.transport.waiting_messages import WaitingMessage, WaitingMessages
from test.core.peers.tables import tables_keyed_by

OWN = 1


def make(**limits):
    return PeerRegistry(OWN, PeerLimits(**{"max_peers": 3, **limits}))


def telling(**limits):
    """A registry, and the list of the stations that it has forgotten."""
    registry, gone = make(**limits), []
    registry.on_forgotten = gone.append
    return registry, gone


def is_admitted(registry, station, now, verified=None):
    try:
        registry.admit(station, now, verified)
    except PeerRefusedError:
        return False
    return True


def test_stations_are_bounded_and_the_own_one_has_its_place():
    registry = make()
    assert all(is_admitted(registry, station, 0.0) for station in (2, 3, 4))
    with pytest.raises(PeerRefusedError) as error:
        registry.admit(5, 0.1)
    assert error.value.reason == "too_many_stations"
    with pytest.raises(PeerRefusedError, match="one more than the 3"):
        registry.check(5, 0.1)
    assert is_admitted(registry, OWN, 0.1)
    assert len(registry) == 4


def test_the_own_station_has_its_place_before_anything_of_it_is_accepted():
    registry = make()
    for station in (2, 3, 4):
        registry.admit(station, 0.0)
    record = registry.meet(OWN, 0.1)
    for stranger in range(100):
        registry.meet(1000 + stranger, 0.2)
    assert registry.find(OWN) is record
    assert np.isinf(record.silence(0.2))


def test_a_check_remembers_nothing():
    registry = make()
    registry.check(2, 0.0)
    assert registry.records() == []


def test_an_outsider_cannot_push_out_a_peer_that_works():
    registry = make()
    for station in (2, 3, 4):
        registry.admit(station, 0.0)
    for tick in range(1, 200):
        now = tick / 10
        for station in (2, 3, 4):
            assert is_admitted(registry, station, now)
        registry.note_fused((2, 3, 4), now)
        for invented in range(1000 * tick, 1000 * tick + 20):
            assert not is_admitted(registry, invented, now)
    assert all(station in registry for station in (2, 3, 4))


def test_stations_that_are_never_fused_do_not_hold_their_places():
    registry, gone = telling()
    for station in (2, 3, 4):
        registry.admit(station, station / 10)
    registry.note_fused((2,), 0.4)
    assert not is_admitted(registry, 5, PROBATION)
    assert is_admitted(registry, 5, 0.35 + PROBATION)
    assert 2 in registry, "it works"
    assert 3 not in registry, "it had its chance first"
    assert gone == [3]


def test_a_silent_peer_makes_room():
    registry, gone = telling(silent_after=2.0)
    for station in (2, 3, 4):
        registry.admit(station, 0.0)
        registry.note_fused((station,), 0.0)
    registry.admit(2, 1.5)
    registry.note_fused((2,), 1.5)
    assert is_admitted(registry, 5, 2.5)
    assert sorted(gone) == [3, 4]
    assert 2 in registry


def test_a_verified_station_finds_room_among_unverified_ones_alone():
    registry = make()
    registry.admit(2, 0.0, verified=True)
    for station in (3, 4):
        registry.admit(station, 0.0)
    registry.note_fused((2, 3, 4), 0.0)
    assert is_admitted(registry, 5, 0.1, verified=True)
    assert is_admitted(registry, 6, 0.2, verified=True)
    assert not is_admitted(registry, 7, 0.3, verified=True), "only verified ones are left"
    assert {station for station in range(9) if station in registry} == {2, 5, 6}


def test_whoever_does_not_know_whether_a_message_was_signed_changes_no_standing():
    registry = make()
    registry.admit(2, 0.0, verified=True)
    registry.admit(2, 0.1)
    assert registry.standing_of(2, 0.1) is Standing.VERIFIED
    registry.admit(2, 0.2, verified=False)
    assert registry.standing_of(2, 0.2) is Standing.NEWCOMER


def test_a_station_of_which_nothing_comes_is_forgotten_and_told():
    registry, gone = telling(forget_after=60.0)
    registry.admit(2, 0.0)
    registry.admit(3, 0.0)
    registry.meet(3, 30.0)  # something came, and was refused
    registry.meet(9, 30.0)
    registry.expire(60.0)
    assert gone == []
    registry.expire(60.5)
    assert gone == [2]
    assert [record.station_id for record in registry.records()] == [3, 9]
    registry.admit(4, 90.5)  # a newcomer ends them as well
    assert gone == [2, 3]
    assert [record.station_id for record in registry.records()] == [4]


def test_who_is_told_may_ask_the_registry():
    registry, gone = telling()
    registry.on_forgotten = lambda station: gone.append((station, station in registry))
    registry.admit(2, 0.0)
    registry.forget(2)
    registry.forget(2)
    assert gone == [(2, False)], "told once"


def test_strangers_displace_each_other_alone():
    registry = make()
    registry.admit(2, 0.0)
    for station in range(1000, 2000):
        registry.meet(station, 0.0)
    kept = [record.station_id for record in registry.records()]
    assert kept == [2, *range(2000 - MAX_STRANGERS, 2000)]
    assert len(registry) == 1


def test_a_stranger_of_which_more_comes_stays_before_others():
    registry = make()
    record = registry.meet(7, 0.0)
    for station in range(1000, 1100):
        registry.meet(station, 0.0)
        assert registry.meet(7, 0.0) is record


def test_a_stranger_that_is_accepted_keeps_its_record():
    registry, words = make(), PeerField(list)
    words.of(registry.meet(7, 0.0)).append("refused")
    record = registry.admit(7, 1.0)
    assert words.of(record) == ["refused"]
    assert (record.joined, record.heard) == (1.0, 1.0)
    assert [each.station_id for each in registry.records()] == [7]


def test_it_says_when_there_are_more_than_find_room():
    registry = make()
    for station in (2, 3, 4):
        registry.admit(station, 0.0)
    assert not registry.is_crowded(0.0, 1.0)
    assert not is_admitted(registry, 5, 0.5)
    assert registry.is_crowded(1.4, 1.0)
    assert not registry.is_crowded(1.6, 1.0)
    assert is_admitted(registry, 5, 3.0), "in the place of one that was heard lately"
    assert registry.is_crowded(3.5, 1.0)
    assert is_admitted(registry, 6, 30.0), "all others are silent"
    assert not registry.is_crowded(30.0, 1.0)


def test_standing_is_what_was_shown_of_late():
    registry = make(silent_after=2.0)
    registry.admit(2, 0.0)
    assert registry.standing_of(2, 0.0) is Standing.NEWCOMER
    registry.note_fused((2, 99), 1.0)
    assert registry.standing_of(2, 3.0) is Standing.WORKING
    assert registry.standing_of(2, 3.1) is Standing.NEWCOMER
    registry.admit(2, 4.0, verified=True)
    assert registry.standing_of(2, 4.0) is Standing.VERIFIED
    assert registry.standing_of(99, 1.0) is Standing.NEWCOMER


def test_a_station_works_while_it_is_in_a_slow_machines_frames():
    registry = make(silent_after=2.0)
    for station in (2, 3):
        registry.admit(station, 0.0)
    for frame in range(8):
        registry.note_fused((2,) if frame else (2, 3), 10.0 * frame)
    assert registry.standing_of(2, 79.0) > Standing.NEWCOMER
    assert registry.standing_of(3, 79.0) is Standing.NEWCOMER


def test_a_station_that_works_for_long_is_established_until_there_is_a_gap():
    registry = make(silent_after=2.0)
    registry.admit(2, 0.0)
    times = np.arange(0.0, ESTABLISHED_AFTER + 0.5)
    for now in times:
        assert registry.standing_of(2, now) < Standing.ESTABLISHED
        registry.note_fused((2,), now)
    assert registry.standing_of(2, times[-1]) is Standing.ESTABLISHED
    later = times[-1] + 10.0
    for tick in range(8):  # others are fused
        registry.note_fused((), times[-1] + tick)
    assert registry.standing_of(2, later) is Standing.NEWCOMER
    registry.note_fused((2,), later)
    assert registry.standing_of(2, later) is Standing.WORKING
    assert registry.works_since(2) == registry.waits_since(2) == later


@given(
    st.lists(st.tuples(st.integers(1, 24), st.sampled_from("amv"), st.floats(0, 0.5)), max_size=200)
)
def test_whoever_comes_the_registry_is_bounded_and_says_whom_it_lost(events):
    registry, gone = telling()
    now, known = 0.0, set()
    for station, kind, pause in events:
        now += pause
        if kind == "m":
            registry.meet(station, now)
            known |= {station} & {OWN}
        elif is_admitted(registry, station, now, verified=kind == "v"):
            known.add(station)
        known -= set(gone)
        gone.clear()
        assert known == {record.station_id for record in registry.tracked()}
        assert len(known - {OWN}) <= 3
        assert len(registry.records()) <= 3 + 1 + MAX_STRANGERS


FORM = IndexMapFormat(EntropyModel(128), 2, 1, 8, 4)
GRID = BevGrid((-8.0, -16.0, -1.0, 8.0, 16.0, 1.0), (2.0, 2.0, 2.0))  # 8 rows, 4 columns
#: An id that no table has by chance.
STATION = 3_987_654_321
MS = 1_000_000


class Components:
    """All that knows anything of stations, about one registry."""

    def __init__(self, **limits):
        self.registry = PeerRegistry(OWN, PeerLimits(**{"max_peers": 3, **limits}))
        self.admission = PeerAdmission(self.registry)
        self.ledger = PeerLedger(self.registry)
        background = np.zeros(2, np.uint8)
        self.reception = Reception(FORM, background, 0.05, OWN, GRID, 0.3, self.registry)
        self.waiting = WaitingMessages(self.registry)
        self.receivers = Receivers(GRID, DetectionConfig(range_x=8.0, range_y=8.0), self.registry)
        self.lags = PeerField(LagMinimum)
        self.whereabouts = PeerField(Whereabouts)

    def all(self):
        return [each for each in vars(self).values() if each is not self.registry]

    def hear(self, station, now=0.0):
        """Let every component note something; half a sweep, so that one stays open."""
        self.admission.may_speak(station, now)
        self.admission.spend(station, 0.001, 0.1, now)
        record = self.admission.admit(station, 100 * MS, 1, 0, now, verified=False)
        self.whereabouts.of(record).note(100 * MS, np.zeros(3), now)
        self.lags.of(record).add(0.1, now)
        for number, rows in ((0, 8), (1, 3)):
            indices = np.ones((2, rows, 4), np.uint8)
            payload = encode_indices(indices, FORM.entropy_model)
            place = TilePlace(0, 2, 0, rows, 0, 4)
            self.reception.add(
                Tile(
                    station, number, number, "lidar", np.eye(4), 0, 1 + number, 0, payload, place,
                    indices,
                ),
                now,
            )  # fmt: skip
        self.waiting.keep(station, WaitingMessage(200 * MS, b"tile"), now)
        self.receivers.hear(station, np.eye(4), now)
        self.ledger.refuse(station, "late", "0.5 s old", now)
        return record


def leaves_by_being_forgotten(known):
    known.registry.forget(STATION)


def leaves_by_reset(known):
    known.registry.reset()


def leaves_by_the_receptions_word(known):
    known.reception.forget(STATION)


def leaves_by_silence(known):
    known.ledger.entries(known.registry.limits.forget_after + 0.1)


def leaves_for_others(known):
    for station in (2, 3, 4):
        known.registry.admit(station, PROBATION + 0.1)


WAYS = [
    leaves_by_being_forgotten,
    leaves_by_reset,
    leaves_by_the_receptions_word,
    leaves_by_silence,
    leaves_for_others,
]


def test_no_component_has_a_table_of_stations():
    known = Components()
    known.hear(STATION)
    for component in known.all():
        assert tables_keyed_by(component, STATION, beyond=[known.registry]) == []
    assert len(tables_keyed_by(known.registry, STATION)) == 1


@pytest.mark.parametrize("leave", WAYS)
def test_a_station_that_is_forgotten_is_forgotten_by_everybody(leave):
    known = Components()
    record = known.hear(STATION)
    assert len(record.parts) == 7, "each component has its part"
    parts = [weakref.ref(part) for part in (record, *record.parts.values())]
    del record
    assert known.reception.is_incomplete
    leave(known)
    gc.collect()
    assert [part() for part in parts if part() is not None] == []
    assert tables_keyed_by(known, STATION) == []
    assert not known.reception.is_incomplete
    assert STATION not in known.reception.counts
    assert STATION not in known.ledger.entries(PROBATION + 0.1)
    assert len(known.waiting) == 0
    assert known.waiting.unread == 1
    assert known.receivers.count(0.0) == 0


def test_one_that_comes_back_is_a_newcomer():
    known = Components()
    known.hear(STATION)
    known.registry.forget(STATION)
    known.hear(STATION, 0.1)  # the same messages: no guard, no assembly remembers them
    assert known.reception.counts[STATION].sweeps == 2
    assert known.ledger.entries(0.1)[STATION].refusals == 1


def test_a_flood_of_invented_stations_fills_one_bounded_table():
    known, most = Components(), 3 + 1 + MAX_STRANGERS
    alive = weakref.WeakSet()

    def counted():
        alive.add(lags := LagMinimum())
        return lags

    known.lags = PeerField(counted)
    for number in range(2000):
        station, now = 1_000_000 + number, number / 100
        known.ledger.refuse(station, "signature", "wrong", now)
        known.waiting.keep(station, WaitingMessage(200 * MS, b"tile"), now)
        if is_admitted(known.registry, station, now):
            known.registry.forget(station)
            known.hear(station, now)
    assert len(known.registry.records()) <= most
    assert len(known.reception.counts) <= 3
    assert len(known.ledger.entries(now)) <= most
    assert len(known.waiting) <= most
    gc.collect()
    assert 0 < len(alive) <= 3
