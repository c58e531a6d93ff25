# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that wait unread for the frame that needs them."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.peers import PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.registry import MAX_STRANGERS, PeerRegistry
from quantv2x_ros.core.transport.waiting_messages import (
    MESSAGES,
    STATION_BYTES,
    WaitingMessage,
    WaitingMessages,
)

REACH = 50


def kept(*messages: tuple[int, int]) -> WaitingMessages:
    """What waits of stations that are all tracked."""
    registry = PeerRegistry(1)
    waiting = WaitingMessages(registry)
    for station, stamp in messages:
        registry.admit(station, 0.0)
        waiting.keep(station, WaitingMessage(stamp, b"%d" % station), 0.0)
    return waiting


def stamps(messages: list[WaitingMessage]) -> list[int]:
    return [message.stamp_ns for message in messages]


def test_all_tiles_of_the_sweep_near_the_frame_are_read_and_older_ones_never():
    waiting = kept((2, 100), (2, 100), (2, 200), (2, 200), (2, 300))
    assert stamps(waiting.take(210, REACH)) == [200, 200]
    assert waiting.unread == 2
    assert stamps(waiting.take(300, REACH)) == [300], "what is newer has waited on"


def test_a_station_without_a_near_sweep_gives_its_newest_before():
    waiting = kept((2, 100), (2, 200), (2, 200))
    assert stamps(waiting.take(400, REACH)) == [200, 200]


def test_without_a_frame_each_station_gives_its_newest():
    waiting = kept((2, 100), (2, 200), (3, 70))
    assert sorted(stamps(waiting.take(None, REACH))) == [70, 200]
    assert len(waiting) == 0


def test_strangers_take_no_place_of_known_stations():
    waiting = kept((2, 100))
    for station in range(10, 10 + 3 * MAX_STRANGERS):
        waiting.keep(station, WaitingMessage(100, b"x"), 0.0)
    assert len(waiting) == 1 + MAX_STRANGERS
    assert waiting.unread == 2 * MAX_STRANGERS
    assert waiting.take(100, REACH)[0].content == b"2"


def test_what_waits_of_a_stranger_waits_on_once_it_is_tracked():
    registry = PeerRegistry(1)
    waiting = WaitingMessages(registry)
    waiting.keep(2, WaitingMessage(100, b"2"), 0.0)
    registry.admit(2, 0.1)
    assert stamps(waiting.take(100, REACH)) == [100]


def test_what_waits_of_a_station_that_has_gone_is_counted_as_unread():
    registry = PeerRegistry(1)
    waiting = WaitingMessages(registry)
    waiting.keep(2, WaitingMessage(100, b"2"), 0.0)
    registry.forget(2)
    assert (len(waiting), waiting.unread) == (0, 1)


def test_a_copyist_among_a_stations_messages_does_not_hide_the_honest_one():
    waiting = kept((2, 100), *((2, 101 + number) for number in range(20)))
    assert 100 in stamps(waiting.take(100, REACH))


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 1000), st.integers(0, 3000), st.booleans()),
        max_size=600,
    )
)
def test_memory_is_bounded_and_every_message_is_read_waits_or_is_counted(items):
    registry = PeerRegistry(1, PeerLimits(max_peers=8))
    waiting = WaitingMessages(registry)
    for station, stamp, size, known in items:
        if known:
            with contextlib.suppress(PeerRefusedError):
                registry.admit(station, 0.0)
        waiting.keep(station, WaitingMessage(stamp, bytes(size)), 0.0)
    held = len(waiting)
    assert held <= (8 + 1 + MAX_STRANGERS) * MESSAGES
    taken = waiting.take(500, REACH)
    assert len(taken) + len(waiting) + waiting.unread == len(items)
    assert all(stamp <= 550 for stamp in stamps(taken))


def test_a_station_holds_bounded_bytes():
    registry = PeerRegistry(1)
    waiting = WaitingMessages(registry)
    registry.admit(2, 0.0)
    for number in range(5):
        waiting.keep(2, WaitingMessage(number, bytes(STATION_BYTES // 2)), 0.0)
    assert len(waiting) == 2
    assert waiting.newest_stamp(2) == 4
    assert waiting.newest_stamp(3) is None
