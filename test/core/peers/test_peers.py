# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is granted to peers, and what is kept of each."""

from __future__ import annotations

import pytest

from quantv2x_ros.core.peers.peers import MAX_PEERS, PeerField, PeerLimits, PeerRecord


@pytest.mark.parametrize("change", ["max_peers", "rate", "newcomer_rate", "silent_after"])
def test_limits_are_validated(change):
    with pytest.raises(ValueError, match=change):
        PeerLimits(**{change: 0})


def test_no_more_peers_can_be_asked_for_than_fit_into_memory():
    with pytest.raises(ValueError, match=f"max_peers: got {MAX_PEERS + 1}, expected 1 to"):
        PeerLimits(max_peers=MAX_PEERS + 1)


def test_nobody_is_forgotten_before_it_makes_room():
    with pytest.raises(ValueError, match=r"forget_after: got 2.0 s, expected at least silent_aft"):
        PeerLimits(forget_after=2.0)


def test_each_component_has_its_own_part_of_each_record():
    one, other, words, numbers = PeerRecord(2, 0, 0), PeerRecord(3, 0, 0), *(
        PeerField(list) for _ in range(2)
    )  # fmt: skip
    assert words.find(one) is None, "made at its first use"
    words.of(one).append("a")
    numbers.of(one).append(1)
    assert words.of(one) == words.find(one) == ["a"]
    assert words.of(other) == []
    assert words.find(None) is None


def test_silence_lasts_from_the_last_accepted_message():
    record = PeerRecord(2, 0.0, 0.0)
    assert record.silence(9.0) == float("inf")
    record.heard = 2.0
    assert record.silence(9.0) == 7.0
