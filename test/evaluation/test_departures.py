# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When agents' packets go in an evaluation: by the law of their radio, objects first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.radio import RadioAllowance, radio_profile
from quantv2x_ros.core.transport.packet_sizes import GEONETWORKING_UNIT
from quantv2x_ros.evaluation.air import Departures, Outgoing

LAWS = ("its_g5_6", "its_g5_12", "lte_v2x")


def expect_lawful(law, gone):
    """Check the law by its own words: frames, gaps and every second."""
    frames = [(time, time + law.airtime(size)) for time, _, size in gone]
    allowance = RadioAllowance(law)
    for (start, end), (_, _, size) in zip(frames, gone, strict=True):
        allowance.spend(size, start)
        assert allowance.used(end) <= 1 + 1e-6
        assert end - start <= law.longest_frame + 1e-9
    for (_, end), (start, _) in pairwise(frames):
        assert start - end >= law.least_gap - 1e-9


@given(
    st.sampled_from(("none", *LAWS)),
    st.lists(
        st.tuples(
            st.lists(st.integers(200, GEONETWORKING_UNIT), max_size=4),
            st.lists(st.integers(52, GEONETWORKING_UNIT), max_size=2),
            st.sampled_from([0.01, 0.04, 0.09]),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_an_agents_packets_go_lawfully_and_within_their_period(radio, frames):
    law, departures = radio_profile(radio), Departures(radio)
    gone = []
    for number, (tiles, objects, delay) in enumerate(frames):
        start = 0.1 * number
        packets = [Outgoing(size) for size in tiles] + [Outgoing(size, delay) for size in objects]
        times = departures.times("car", packets, start)
        for each, time in times.items():
            assert start + (packets[each].delay or 0.0) <= time < start + 0.1
        gone += [(time, each, packets[each].size) for each, time in times.items()]
        if not law.limits:
            assert times == {
                each: start + (packet.delay or 0.0) for each, packet in enumerate(packets)
            }
    if law.limits:
        expect_lawful(law, sorted(gone))


def test_objects_that_come_later_go_before_the_tiles_that_still_wait():
    times = Departures("its_g5_12").times(
        "car", [Outgoing(300), Outgoing(300), Outgoing(300), Outgoing(300, 0.03)], 0.0
    )
    assert sorted(times, key=times.get) == [0, 1, 3, 2]
    assert times[0] == 0.0
    assert 0.03 <= times[3] < times[2] < 0.1


def test_objects_that_wait_make_way_to_the_next_sweep():
    departures = Departures("its_g5_6")
    packets = [Outgoing(300), *(Outgoing(300, 0.09) for _ in range(3))]
    first = departures.times("car", packets, 0.0)
    assert set(first) == {0, 1}, "there is time for one"
    assert departures.times("car", [], 0.1) == {}
    assert set(departures.times("car", [Outgoing(300)], 0.2)) == {0}


def test_each_agent_has_its_own_law():
    departures = Departures("its_g5_6")
    for name in ("car", "truck"):
        assert departures.times(name, [Outgoing(300), Outgoing(300, 0.04)], 0.0) == {
            0: 0.0,
            1: 0.04,
        }


@pytest.mark.parametrize("radio", ["none", *LAWS])
def test_nothing_goes_after_the_next_sweep_however_late_its_objects_are(radio):
    departures = Departures(radio)
    packets = [Outgoing(700) for _ in range(6)] + [Outgoing(300, 0.15)]
    for start in (0.0, 0.1, 0.2):
        times = departures.times("car", packets, start)
        assert all(start <= time < start + 0.1 for time in times.values())
