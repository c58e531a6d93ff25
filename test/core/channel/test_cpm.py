# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes in messages: every object is carried once, and no message is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.cpm import (
    FRAME_BYTES,
    MOST_OBJECTS,
    OBJECT_BYTES,
    affordable_objects,
    cpm_sizes,
)


@given(st.integers(0, 500))
def test_messages_carry_every_object_once_and_fit_a_packet(objects):
    sizes = cpm_sizes(objects)
    carried = [(size - FRAME_BYTES) // OBJECT_BYTES for size in sizes]
    assert sum(carried) == objects
    assert max(carried) <= MOST_OBJECTS
    assert max(sizes) <= 1398
    assert len(sizes) == max(1, -(-objects // MOST_OBJECTS))


def test_twenty_objects_take_what_the_paper_counts_and_a_signature():
    assert cpm_sizes(20) == [121 + 35 + 20 * 35 + 64]


@given(st.integers(FRAME_BYTES, 20_000))
def test_as_many_objects_go_as_a_budget_holds(budget):
    most = affordable_objects(budget)
    assert sum(cpm_sizes(most)) <= budget
    assert sum(cpm_sizes(most + 1)) > budget
