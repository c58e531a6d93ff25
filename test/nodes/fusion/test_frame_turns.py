# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame is in work: what is for later ones waits."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.nodes.fusion.frame_turns import FrameTurns

MS = 1_000_000


class Fusion:
    """Says whether a frame is in work."""

    def __init__(self) -> None:
        self.idle = True
        self.turns = FrameTurns(lambda: self.idle, PeerRegistry(1))

    def begin(self, ms: int) -> None:
        self.idle = False
        self.turns.begin(ms * MS, 100 * MS)

    def offer(self, station: int, ms: int) -> bool:
        return self.turns.postpone(station, ms * MS, b"%d at %d" % (station, ms))


@pytest.fixture
def fusion() -> Fusion:
    return Fusion()


def test_an_idle_node_reads_everything_at_once(fusion):
    assert not fusion.offer(2, 100)
    fusion.begin(100)
    fusion.idle = True
    assert not fusion.offer(2, 200)


def test_what_the_frame_in_work_can_use_is_read_at_once(fusion):
    fusion.begin(100)
    assert not fusion.offer(2, 100)
    assert not fusion.offer(2, 149)
    assert fusion.offer(2, 151)


def test_of_what_came_meanwhile_only_the_next_frames_is_read(fusion):
    fusion.begin(100)
    for ms in (200, 300, 400, 500):
        assert fusion.offer(2, ms)
    fusion.idle = True
    fusion.begin(400)
    assert fusion.turns.due(None) == [b"2 at 400"]
    assert fusion.turns.unread == 2
    fusion.begin(500)
    assert fusion.turns.due(None) == [b"2 at 500"]


def test_without_a_next_frame_the_newest_of_each_station_are_read(fusion):
    fusion.begin(100)
    for station, ms in ((2, 200), (2, 300), (3, 160)):
        fusion.offer(station, ms)
    fusion.idle = True
    assert sorted(fusion.turns.due(None)) == [b"2 at 300", b"3 at 160"]


def test_own_sweeps_that_come_as_messages_say_which_frame_is_next(fusion):
    fusion.begin(100)
    for station, ms in ((1, 200), (2, 200), (1, 300), (2, 310), (2, 410)):
        fusion.offer(station, ms)
    fusion.idle = True
    assert fusion.turns.due(own_station=1) == [b"1 at 300", b"2 at 310"]


def test_a_clock_that_is_far_ahead_is_told_at_once_and_not_kept(fusion):
    fusion.begin(100)
    assert not fusion.offer(2, 37_000)
