# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Another station that announces itself under the own id."""

from __future__ import annotations

from quantv2x_ros.core.peers.announcement_watch import FORGET_AFTER, REPEAT, AnnouncementWatch


def test_own_announcements_are_nobody_elses_however_often_they_come():
    watch = AnnouncementWatch()
    watch.note(100, 0.0)
    for _ in range(3):
        watch.hear(100, 1.0)
    assert not watch.is_shared(1.0)
    assert not watch.is_due(1.0)


def test_an_announcement_after_the_own_is_another_stations():
    watch = AnnouncementWatch()
    watch.note(100, 0.0)
    watch.hear(200, 1.0)
    assert watch.is_shared(1.0)
    assert watch.is_shared(1.0 + FORGET_AFTER)
    assert not watch.is_shared(1.1 + FORGET_AFTER)


def test_an_older_one_that_nobody_repeats_was_this_station_before_its_start():
    watch = AnnouncementWatch()
    watch.note(100, 0.0)
    watch.hear(50, 1.0)
    assert watch.is_due(1.0)
    watch.note(101, 1.0)
    watch.hear(101, 1.1)
    watch.hear(50, 1.2)
    assert not watch.is_shared(1.2)
    assert not watch.is_due(1.0 + REPEAT - 0.1)
    assert watch.is_due(1.0 + REPEAT)
    assert not watch.is_due(1.1 + FORGET_AFTER)


def test_two_stations_find_each_other_whoever_starts_first_and_whatever_their_clocks_say():
    for offset in (-1_000_000, 0, 1_000_000):  # of the second one's clock
        first, second = AnnouncementWatch(), AnnouncementWatch()
        offsets = {first: 0, second: offset}
        latched = {}

        def announce(station, now):
            stamp = int(1000 * now) + offsets[station]  # noqa: B023
            station.note(stamp, now)
            latched[station] = stamp  # noqa: B023

        announce(first, 0.0)
        for tick in range(1, 300):
            now = 100.0 + tick / 10
            if tick == 1:
                announce(second, now)
            for listener, speaker in ((first, second), (second, first)):
                listener.hear(latched[speaker], now)
                if listener.is_due(now):
                    announce(listener, now)
        assert first.is_shared(now)
        assert second.is_shared(now)
