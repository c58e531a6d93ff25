# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Radios: what a packet takes on the air, and when the law lets the next one go."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.radio import (
    PROFILES,
    WINDOW,
    RadioAllowance,
    RadioError,
    radio_profile,
)

ITS_G5 = radio_profile("its_g5_6")
RADIOS = st.sampled_from([profile for name, profile in PROFILES.items() if name != "none"])


def busy(frames: list[tuple[float, float]], begin: float, end: float) -> float:
    """Time on the air between two times."""
    return sum(max(0.0, min(e, end) - max(s, begin)) for s, e in frames)


def is_lawful(profile, frames: list[tuple[float, float]]) -> bool:
    """Whether frames keep a radio's law, window by window."""
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(frames)]
    windows = [busy(frames, end - WINDOW, end) for _, end in frames]
    return (
        all(end - start <= profile.longest_frame + 1e-9 for start, end in frames)
        and all(gap >= profile.least_gap - 1e-9 for gap in gaps)
        and all(window <= profile.most_share * WINDOW + 1e-7 for window in windows)
    )


def test_a_packet_takes_the_symbols_that_the_standard_says():
    """By hand: 22 + 8 * (1398 + 82) bits are 248 symbols of 48 bits."""
    assert ITS_G5.airtime(1398) == pytest.approx(40e-6 + 248 * 8e-6)
    assert radio_profile("its_g5_12").airtime(1398) == pytest.approx(40e-6 + 124 * 8e-6)
    assert radio_profile("lte_v2x").airtime(2000) == pytest.approx(0.01)
    assert radio_profile("none").airtime(10**6) == 0.0


@given(RADIOS, st.floats(1e-4, 4e-3))
def test_the_largest_payload_fits_and_one_byte_more_does_not(profile, airtime):
    most = profile.most_payload(airtime)
    if most:
        assert profile.airtime(most) <= airtime + 1e-8
    assert profile.airtime(most + 1) > airtime


@given(
    RADIOS,
    st.lists(st.tuples(st.floats(0.0, 0.2), st.integers(1, 2500)), min_size=1, max_size=60),
)
def test_what_goes_as_early_as_it_may_keeps_the_law_and_wastes_nothing(profile, packets):
    allowance, frames, now = RadioAllowance(profile), [], 0.0
    for pause, size in packets:
        if profile.airtime(size) > profile.longest_frame:
            continue
        now += pause
        start = allowance.earliest(size, now)
        assert start >= now
        earlier = (start - 1e-6, start - 1e-6 + profile.airtime(size))
        assert start == now or not is_lawful(profile, [*frames, earlier])
        allowance.spend(size, start)
        frames.append((start, start + profile.airtime(size)))
        now = start
    assert is_lawful(profile, frames)
    if frames:
        assert allowance.used(frames[-1][1]) <= 1.0 + 1e-6


def test_four_full_packets_every_tenth_of_a_second_take_almost_thrice_what_is_allowed():
    allowance = RadioAllowance(ITS_G5)
    for number in range(40):
        allowance.spend(1398, 0.025 * number)
    assert allowance.used(1.0) == pytest.approx(40 * 2.024e-3 / 0.03)


def test_a_packet_that_no_frame_holds_is_refused():
    with pytest.raises(RadioError, match=r"takes 4\.02 ms on its_g5_6, .* at most 2885 bytes"):
        RadioAllowance(ITS_G5).earliest(2900, 0.0)
    with pytest.raises(RadioError, match="radio: got 'its_g6', allowed are none, its_g5_6"):
        radio_profile("its_g6")
    with pytest.raises(RadioError, match="radio none limits no packet"):
        radio_profile("none").most_payload(1e-3)
