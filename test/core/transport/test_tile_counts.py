# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts of tiles and sweeps that came, and that did not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.reception import TileCounts


def opened(*sequences):
    counts = TileCounts()
    for sequence in sequences:
        counts.open_sweep(sequence)
    return counts


def test_gaps_in_the_numbers_are_missed_sweeps():
    assert opened(5, 6, 9).missed == 2


def test_a_sweep_that_was_overtaken_is_not_missed():
    assert opened(5, 7, 6).missed == 0


def test_numbers_go_on_after_they_have_wrapped():
    assert opened(2**32 - 2, 1).missed == 2


def test_a_sender_that_starts_again_has_missed_nothing():
    assert opened(90_000, 0, 1, 50_000).missed == 0


def test_tiles_that_did_not_come_are_lost():
    counts = TileCounts()
    counts.close_sweep(3, 5)
    counts.close_sweep(4, 4)
    assert (counts.received, counts.lost) == (7, 2)


@given(st.lists(st.booleans(), min_size=2, max_size=100), st.integers(0, 2**32 - 1), st.randoms())
def test_what_is_lost_of_a_row_is_counted_in_any_near_order(came, first, random):
    numbers = [n for n, here in enumerate(came) if here]
    if not numbers:
        return
    for place in range(0, len(numbers) - 1, 2):
        if place and random.random() < 0.5:
            numbers[place : place + 2] = numbers[place : place + 2][::-1]
    counts = opened(*[(first + number) % 2**32 for number in numbers])
    span = max(numbers) - min(numbers) + 1
    assert (counts.sweeps, counts.missed) == (len(numbers), span - len(numbers))
