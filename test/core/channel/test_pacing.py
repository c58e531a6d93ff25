# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets go as the law allows, the newest sweep's first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.pacing import Pacer
from quantv2x_ros.core.channel.radio import radio_profile
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT

UNIT = GEONETWORKING_UNIT - FIELD_BYTES


def drive(pacer: Pacer[tuple[int, int]], stamps: list[float], unit: int = UNIT) -> list:
    """Fill each sweep's budget; return what went when, as (sweep, packet), and the budgets."""
    gone, budgets = [], []
    for number, stamp in enumerate(stamps):
        budget = pacer.budget(stamp, unit)
        whole, rest = divmod(budget, unit + FIELD_BYTES)
        sizes = [unit + FIELD_BYTES] * whole + [rest] * (rest > 0)
        budgets.append(budget)
        pacer.offer([((number, place), size) for place, size in enumerate(sizes)])
        now, end = stamp, stamps[number + 1] if number + 1 < len(stamps) else stamp + 1.0
        while now < end:
            gone += [(now, packet) for packet in pacer.due(now)]
            now = max(pacer.next_time(now), now + 1e-6)
    return [gone, budgets]


def test_without_a_law_all_goes_at_once():
    pacer: Pacer[int] = Pacer(radio_profile("none"))
    assert pacer.budget(0.0, UNIT) is None
    pacer.offer([(number, UNIT) for number in range(9)])
    assert pacer.due(0.0) == list(range(9))
    assert pacer.due(0.0) == []


@pytest.mark.parametrize("radio", ["its_g5_6", "its_g5_12"])
def test_ten_sweeps_a_second_use_what_is_allowed_and_none_is_cut_short(radio):
    pacer: Pacer[tuple[int, int]] = Pacer(radio_profile(radio))
    gone, budgets = drive(pacer, [0.1 * number for number in range(50)])
    assert pacer.replaced == 0
    assert 0.9 < pacer.allowance.used(gone[-1][0]) <= 1.0 + 1e-6
    assert max(budgets) - min(budgets) <= 12, "all sweeps get alike, but for rounding of times"


def test_what_is_left_of_an_older_sweep_makes_way():
    pacer: Pacer[str] = Pacer(radio_profile("its_g5_6"))
    pacer.offer([("old 1", UNIT), ("old 2", UNIT)])
    assert pacer.due(0.0) == ["old 1"]
    pacer.offer([("new 1", UNIT)])
    assert pacer.due(0.01) == []
    assert pacer.due(pacer.next_time(0.01)) == ["new 1"]
    assert pacer.replaced == 1


@given(
    st.sampled_from(["its_g5_6", "its_g5_12", "lte_v2x"]),
    st.lists(st.floats(0.02, 0.4), min_size=1, max_size=30),
    st.integers(200, UNIT),
)
def test_budgets_of_any_rhythm_keep_to_the_law(radio, pauses, unit):
    profile = radio_profile(radio)
    pacer: Pacer[tuple[int, int]] = Pacer(profile)
    stamps = [sum(pauses[: count + 1]) for count in range(len(pauses))]
    gone, _ = drive(pacer, stamps, unit)
    ends = [time for time, _ in gone]
    assert ends == sorted(ends)
    for time, _ in gone:
        assert pacer.allowance.used(time) <= 1.0 + 1e-6
