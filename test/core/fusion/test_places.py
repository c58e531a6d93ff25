# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a frame."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.fusion.fusion_steps import HeldSweep
from quantv2x_ros.core.fusion.places import CROWD, Places
from quantv2x_ros.core.peers.peers import Standing
from quantv2x_ros.core.transport.sweep import AgentSweep

#: Frames after which whoever began with turns to spare has none.
LONG = 200


class Town:
    """Stations with a standing, and who was fused when."""

    def __init__(self):
        self.standing, self.waits, self.since = {}, {}, {}

    def standing_of(self, station, now):
        return self.standing.get(station, Standing.NEWCOMER)

    def works_since(self, station):
        return self.since.get(station, 0.0)

    def waits_since(self, station):
        return self.waits.get(station, 0.0)


def held(station):
    return HeldSweep(
        AgentSweep(
            station_id=station,
            sequence=0,
            stamp_ns=0,
            frame_id="lidar",
            pose=np.eye(4),
            indices=np.zeros((1, 2, 3), np.uint8),
            received=np.ones((2, 3), bool),
            payload_bytes=6,
            arrived=0.0,
        )
    )


def frame(places, stations, now=0.0, late=False):
    """Who takes part in one frame."""
    chosen = [h.sweep.station_id for h in places.choose([held(s) for s in stations], now).chosen]
    places.next_frame(late)
    return chosen


def make(most=7, **standing):
    town = Town()
    town.standing.update({int(name[1:]): value for name, value in standing.items()})
    return Places(most, town), town


def test_whoever_is_first_at_the_start_is_welcome():
    places, _ = make()
    assert frame(places, [5, 6, 7]) == [5, 6, 7]


def test_one_that_comes_alone_is_in_every_frame_however_new():
    places, _ = make()
    assert all(frame(places, [9]) == [9] for _ in range(LONG))


def test_peers_that_work_keep_their_places_whoever_is_nearer():
    places, _ = make(most=3, _2=Standing.WORKING, _3=Standing.WORKING, _4=Standing.WORKING)
    strangers = list(range(1000, 1060))
    for _ in range(LONG):
        assert frame(places, [*strangers, 2, 3, 4]) == [2, 3, 4]


def test_rank_comes_before_distance_and_distance_among_equals():
    places, _ = make(most=3, _2=Standing.WORKING, _3=Standing.ESTABLISHED, _4=Standing.VERIFIED)
    assert frame(places, [9, 2, 3, 4]) == [4, 3, 2]
    places, _ = make(most=2, _4=Standing.WORKING, _2=Standing.WORKING, _3=Standing.WORKING)
    assert frame(places, [4, 2, 3]) == [4, 2]


def test_one_that_works_is_not_pushed_out_by_those_that_came_later_and_nearer():
    invented = {f"_{station}": Standing.WORKING for station in range(1000, 1009)}
    places, town = make(most=3, _2=Standing.WORKING, **invented)
    town.since = dict.fromkeys(range(1000, 1009), 7.0) | {2: 5.0}
    assert frame(places, [*range(1000, 1009), 2]) == [2, 1000, 1001]


def test_ever_new_strangers_cost_a_pyramid_in_one_frame_of_four():
    places, _ = make(_2=Standing.WORKING)
    counts = [len(frame(places, [*range(20 * n, 20 * n + 20), 2])) for n in range(1, LONG)]
    assert max(counts[1:]) == 2
    assert sum(count - 1 for count in counts[10:]) <= (LONG - 10) / 4 + 1


def test_where_the_ego_falls_behind_strangers_that_work_take_turns_too():
    invented = {f"_{station}": Standing.WORKING for station in range(1000, 1007)}
    places, _ = make(_2=Standing.ESTABLISHED, **invented)
    everyone = [*range(1000, 1007), 2]
    assert len(frame(places, everyone)) == 7
    counts = []
    for number in range(LONG):
        chosen = frame(places, everyone, late=True)
        assert chosen[0] == 2 or number < 3
        counts.append(len(chosen))
    assert sum(count - 1 for count in counts[40:]) <= (LONG - 40) / 4 + 1


def test_a_few_honest_peers_have_their_places_on_a_slow_machine():
    places, _ = make(_2=Standing.WORKING, _3=Standing.WORKING)
    for _ in range(LONG):
        assert frame(places, [2, 3], late=True) == [2, 3]
    assert CROWD == 2


def test_signed_peers_are_never_held_back():
    signed = {f"_{station}": Standing.VERIFIED for station in range(2, 9)}
    places, _ = make(**signed)
    for _ in range(LONG):
        assert len(frame(places, range(2, 9), late=True)) == 7


def test_whoever_has_waited_longest_is_next():
    places, town = make(_2=Standing.WORKING)
    town.waits = {10: 3.0, 11: 1.0, 12: 2.0}
    order = []
    for number in range(LONG):
        guests = [station for station in frame(places, [10, 11, 12, 2]) if station != 2]
        town.waits.update(dict.fromkeys(guests, 10.0 + number))
        order += guests
    assert order[-3:] in ([11, 12, 10], [12, 10, 11], [10, 11, 12])


def test_a_stranger_changes_its_sweep_only_until_work_on_it_has_begun():
    places, _ = make(_2=Standing.WORKING)
    known, first, second, third = held(2), held(9), held(9), held(9)
    assert places.choose([known, first], 0.0).chosen == [known, first]
    assert places.choose([known, second], 0.0).chosen == [known, second]
    second.begun = True
    assert places.choose([known, third], 0.0).chosen == [known, second]


@given(
    st.lists(
        st.tuples(st.lists(st.integers(2, 30), unique=True, max_size=12), st.booleans()),
        max_size=60,
    ),
    st.integers(0, 7),
    st.sets(st.integers(2, 30)),
)
def test_whatever_comes_strangers_are_bounded_and_everyone_is_named_once(frames, most, working):
    places, _ = make(most, **{f"_{station}": Standing.WORKING for station in working})
    taken = 0
    for stations, late in frames:
        sweeps = [held(station) for station in stations]
        choice = places.choose(sweeps, 0.0)
        named = [*choice.chosen, *choice.over_limit, *choice.held_back]
        assert sorted(h.sweep.station_id for h in named) == sorted(stations)
        assert len(choice.chosen) <= most
        strangers = [h for h in choice.chosen if h.sweep.station_id not in working]
        if len(strangers) < len(choice.chosen) or len(strangers) > 1:
            taken += max(0, len(strangers) - (len(strangers) == len(choice.chosen)))
        places.next_frame(late)
    assert taken <= most + len(frames) / 4
