# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets with objects have their share of the law's time, and go before what waits."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.pacing import (
    FIRST_PERIOD,
    LEAST_PAYLOAD,
    LONGEST_PERIOD,
    Pacer,
    sweep_budget,
)
from quantv2x_ros.core.channel.radio import RadioAllowance, radio_profile
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT

UNIT = GEONETWORKING_UNIT - FIELD_BYTES
LAWS = ("its_g5_6", "its_g5_12", "lte_v2x")
ITS = LAWS[:2]
RADIOS = st.sampled_from(LAWS)
PERIODS = st.floats(0.02, LONGEST_PERIOD)
UNITS = st.integers(LEAST_PAYLOAD, UNIT)
RESERVED = st.lists(st.integers(52, GEONETWORKING_UNIT), max_size=6)
#: What rounding of a packet's size to its airtime may add, seconds a packet.
ROUNDING = 2e-9


def cut(budget, full):
    """Sizes of the packets that a sweep's budget is filled with."""
    whole, rest = divmod(budget, full)
    return [full] * whole + [rest] * (rest > 0)


def full_size(profile, unit):
    """Bytes of a packet whose payload is the largest."""
    if math.isinf(profile.longest_frame):
        return unit + FIELD_BYTES
    return min(unit + FIELD_BYTES, profile.most_payload(profile.longest_frame))


@given(RADIOS, PERIODS, UNITS, RESERVED)
def test_tiles_and_objects_together_keep_to_the_law(radio, period, unit, reserved):
    law = radio_profile(radio)
    budget = sweep_budget(law, period, unit, reserved=reserved)
    assert budget >= 0
    if budget == 0:
        return
    tiles = cut(budget, full_size(law, unit))
    busy = sum(law.airtime(size) for size in (*tiles, *reserved))
    assert busy <= law.most_share * period + ROUNDING * len(tiles)
    if len(tiles) > 1:
        gaps = law.least_gap * (len(tiles) + len(reserved))
        assert busy + gaps <= period + ROUNDING * len(tiles), "all find their time in the period"


@given(RADIOS, PERIODS, RESERVED)
def test_packets_of_any_size_keep_to_the_law_beside_objects(radio, period, reserved):
    law = radio_profile(radio)
    budget = sweep_budget(law, period, 0, reserved=reserved)
    full = max(budget, 1)
    if math.isfinite(law.longest_frame):
        full = law.most_payload(law.longest_frame)
    sizes = (*cut(budget, full), *reserved)
    busy = sum(law.airtime(size) for size in sizes)
    assert budget == 0 or busy <= law.most_share * period + ROUNDING * len(sizes)


@given(RADIOS, PERIODS, UNITS, RESERVED, st.integers(52, GEONETWORKING_UNIT))
def test_what_more_is_reserved_is_not_given(radio, period, unit, reserved, size):
    law = radio_profile(radio)
    less = sweep_budget(law, period, unit, reserved=[*reserved, size])
    assert less <= sweep_budget(law, period, unit, reserved=reserved)
    assert less <= sweep_budget(law, period, unit, reserved=[*reserved, size - 1])


@given(RADIOS, PERIODS, PERIODS, UNITS, RESERVED)
def test_a_longer_period_gives_no_less(radio, period, other, unit, reserved):
    law = radio_profile(radio)
    short, long = sorted((period, other))
    assert sweep_budget(law, short, unit, reserved=reserved) <= sweep_budget(
        law, long, unit, reserved=reserved
    )


@given(RADIOS, PERIODS, UNITS)
def test_nothing_reserved_is_as_before(radio, period, unit):
    law = radio_profile(radio)
    assert sweep_budget(law, period, unit, reserved=()) == sweep_budget(law, period, unit)


@pytest.mark.parametrize("radio", LAWS)
def test_nothing_is_given_where_objects_take_all(radio):
    law = radio_profile(radio)
    most = law.most_payload(min(law.longest_frame, law.most_share * 0.1))
    reserved = [most] * math.ceil(law.most_share * 0.1 / law.airtime(most))
    assert sweep_budget(law, 0.1, UNIT, reserved=reserved) == 0
    assert sweep_budget(law, 0.1, UNIT, reserved=[*reserved, most]) == 0


@pytest.mark.parametrize("radio", LAWS)
def test_what_is_left_for_no_payload_worth_it_is_not_given(radio):
    law = radio_profile(radio)
    for more in range(0, GEONETWORKING_UNIT, 7):
        whole = round(0.9 * law.most_share * 0.1 / law.airtime(GEONETWORKING_UNIT))
        budget = sweep_budget(law, 0.1, UNIT, reserved=[GEONETWORKING_UNIT] * whole + [52 + more])
        assert budget == 0 or budget >= LEAST_PAYLOAD + FIELD_BYTES


@given(st.integers(1, 40_000), st.sampled_from([0, LEAST_PAYLOAD, UNIT]))
def test_a_time_that_holds_no_byte_is_nothing_left(size, unit):
    law = radio_profile("lte_v2x")
    period = law.airtime(size)
    assert sweep_budget(law, period * (1 + 1e-9), unit, reserved=[size]) == 0


def test_objects_that_fill_the_period_to_a_rounding_leave_nothing():
    law = radio_profile("lte_v2x")
    reserved = [GEONETWORKING_UNIT] * 14 + [428]  # 20,000 bytes: 0.1 s
    assert sweep_budget(law, 0.1, UNIT, reserved=reserved) == 0


def test_two_sweeps_at_almost_the_same_time_are_no_error():
    pacer = Pacer(radio_profile("lte_v2x"))
    pacer.budget(1.0, UNIT)
    assert pacer.budget(1.0, UNIT) == 0
    assert pacer.budget(1.0 + 1e-6, UNIT) == 0


def test_without_a_law_nothing_is_limited():
    law = radio_profile("none")
    assert sweep_budget(law, 0.1, UNIT, reserved=[10**6]) is None
    pacer = Pacer(law)
    assert pacer.budget(0.0, UNIT, reserved=[10**6]) is None
    assert pacer.most_bytes() is None
    pacer.offer([("tile", UNIT)])
    pacer.offer_first([("objects", 10**6)])
    assert pacer.due(0.0) == ["objects", "tile"]
    assert pacer.due(0.0) == []
    assert pacer.next_time(0.0) == math.inf


@given(RADIOS, st.lists(st.floats(0.001, 0.5), min_size=1, max_size=8), UNITS, RESERVED)
def test_most_bytes_are_the_budget_with_nothing_reserved(radio, pauses, unit, reserved):
    told, plain = Pacer(radio_profile(radio)), Pacer(radio_profile(radio))
    now = 0.0
    for pause in pauses:
        now += pause
        budget = told.budget(now, unit, reserved=reserved)
        assert told.most_bytes() == plain.budget(now, unit)
        assert told.most_bytes() == plain.most_bytes()
        assert budget <= told.most_bytes()


def test_most_bytes_have_the_overhead_that_was_told():
    pacer = Pacer(radio_profile("its_g5_6"))
    assert pacer.budget(0.0, 400, 64) == pacer.most_bytes()
    assert pacer.most_bytes() != sweep_budget(radio_profile("its_g5_6"), FIRST_PERIOD, 400, 164)


def test_before_the_first_sweep_most_bytes_are_those_of_a_common_one():
    law = radio_profile("its_g5_6")
    assert Pacer(law).most_bytes() == sweep_budget(law, FIRST_PERIOD, 0)


def let_go(pacer, now, end):
    """What goes in a time, as (time, packet)."""
    gone = []
    while now < end:
        gone += [(now, packet) for packet in pacer.due(now)]
        now = max(pacer.next_time(now), math.nextafter(now, math.inf))
    return gone


@pytest.mark.parametrize("radio", ITS)
def test_objects_go_before_tiles_that_wait(radio):
    pacer = Pacer(radio_profile(radio))
    pacer.offer([(f"tile {number}", 400) for number in range(3)])
    assert pacer.due(0.0) == ["tile 0"]
    pacer.offer_first([("objects 0", 400), ("objects 1", 400)])
    gone = [packet for _, packet in let_go(pacer, 0.001, 2.0)]
    assert gone == ["objects 0", "objects 1", "tile 1", "tile 2"]
    assert pacer.replaced == 0


def test_the_next_packet_is_that_with_objects():
    pacer = Pacer(radio_profile("its_g5_6"))
    pacer.offer([("tile", 100)])
    pacer.due(0.0)
    pacer.offer([("tile", 100)])
    soon = pacer.next_time(0.001)
    pacer.offer_first([("objects", 100)])
    assert pacer.next_time(0.001) == soon
    assert pacer.due(soon - 1e-6) == []
    assert pacer.due(soon) == ["objects"]


def test_newer_objects_take_the_place_of_those_that_wait():
    pacer = Pacer(radio_profile("its_g5_6"))
    pacer.offer_first([("old 0", 400), ("old 1", 400), ("old 2", 400)])
    assert pacer.due(0.0) == ["old 0"]
    pacer.offer_first([("new 0", 400)])
    assert pacer.replaced == 2
    pacer.offer_first([("new 1", 400)], replaces=False)
    assert pacer.replaced == 2
    gone = [packet for _, packet in let_go(pacer, 0.001, 2.0)]
    assert gone == ["new 0", "new 1"]


def test_a_newer_sweeps_tiles_leave_objects_waiting():
    pacer = Pacer(radio_profile("its_g5_6"))
    pacer.offer([("tile 0", 400), ("tile 1", 400)])
    assert pacer.due(0.0) == ["tile 0"]
    pacer.offer_first([("objects", 400)])
    pacer.offer([("tile 2", 400)])
    assert pacer.replaced == 1
    assert [packet for _, packet in let_go(pacer, 0.001, 2.0)] == ["objects", "tile 2"]


def test_newer_objects_leave_tiles_waiting():
    pacer = Pacer(radio_profile("its_g5_6"))
    pacer.offer([("tile", 400)])
    pacer.offer_first([("objects", 400)])
    pacer.offer_first([])
    assert pacer.replaced == 1
    assert [packet for _, packet in let_go(pacer, 0.0, 1.0)] == ["tile"]


def test_nothing_goes_once_all_is_forgotten():
    pacer = Pacer(radio_profile("its_g5_6"))
    pacer.offer([("tile", 400)])
    pacer.offer_first([("objects", 400)])
    pacer.clear()
    assert pacer.next_time(0.0) == math.inf
    assert pacer.due(0.0) == []


def drive(pacer, seconds, sizes_of, expected=(), later=0.04):
    """Send ten sweeps a second, each with its objects some time later.

    With a sweep those objects are expected that came with the one before. Returns what went when,
    as (time, (what, sweep, number), size).
    """
    gone, sizes = [], {}
    law = pacer.allowance.profile
    for sweep in range(round(10 * seconds)):
        start = 0.1 * sweep
        budget = pacer.budget(start, UNIT, reserved=expected)
        assert budget <= pacer.most_bytes()
        tiles = cut(budget, full_size(law, UNIT))
        objects = sizes_of(sweep)
        for what, packets in (("tile", tiles), ("objects", objects)):
            sizes |= {(what, sweep, number): size for number, size in enumerate(packets)}
        pacer.offer([(("tile", sweep, number), size) for number, size in enumerate(tiles)])
        gone += let_go(pacer, start, start + later)
        for number, size in enumerate(objects):  # part by part, as they come
            pacer.offer_first([(("objects", sweep, number), size)], replaces=number == 0)
        gone += let_go(pacer, start + later, start + 0.1)
        expected = objects
    return [(time, packet, sizes[packet]) for time, packet in gone]


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


sizes = pytest.mark.parametrize("size", [52 + 64, 52 + 64 + 16 * 20, 52 + 64 + 16 * 50])


@pytest.mark.parametrize("radio", ITS)
@sizes
def test_objects_that_are_expected_wait_for_one_frame_at_most(radio, size):
    law = radio_profile(radio)
    pacer = Pacer(law)
    gone = drive(pacer, 3.0, lambda sweep: [size], expected=[size])
    expect_lawful(law, gone)
    assert pacer.replaced == 0, "what is given beside objects goes"
    objects = {packet[1]: time for time, packet, _ in gone if packet[0] == "objects"}
    assert sorted(objects) == list(range(30))
    for sweep, time in objects.items():
        assert time - (0.1 * sweep + 0.04) <= law.least_gap + law.longest_frame
    assert {packet[1] for _, packet, _ in gone if packet[0] == "tile"} == set(range(30))
    assert pacer.allowance.used(gone[-1][0]) > 0.7


@pytest.mark.parametrize("radio", ITS)
@sizes
def test_the_law_is_kept_though_the_first_objects_were_not_expected(radio, size):
    law = radio_profile(radio)
    pacer = Pacer(law)
    gone = drive(pacer, 3.0, lambda sweep: [size])
    expect_lawful(law, gone)
    objects = [packet[1] for _, packet, _ in gone if packet[0] == "objects"]
    assert len(objects) >= 29, "the last ones may still wait"
    assert objects == list(range(len(objects)))


@given(
    RADIOS,
    st.lists(st.lists(st.integers(52, GEONETWORKING_UNIT), max_size=3), min_size=10, max_size=12),
    st.floats(0.0, 0.099),
)
def test_objects_of_any_sizes_keep_to_the_law(radio, sizes, later):
    law = radio_profile(radio)
    pacer = Pacer(law)
    gone = drive(pacer, 1.0, lambda sweep: sizes[sweep], later=later)
    expect_lawful(law, gone)
    assert len({packet for _, packet, _ in gone}) == len(gone), "each goes once"
