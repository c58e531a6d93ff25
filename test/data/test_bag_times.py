# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages without a time are told from those of a simulation that begins at 0."""

from __future__ import annotations

import pytest

from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_times import BagTimes, duration_text, time_text
from quantv2x_ros.data.bag_writer import STORAGES, BagWriter
from quantv2x_ros.data.recorded_messages import POSE_TYPE

NOW = 1_700_000_000_000_000_000


@pytest.fixture(params=sorted(STORAGES))
def times(tmp_path, request):
    """Writes a bag with messages at some times, and looks at its beginning."""

    def of(*stamps, topics=("/a",)):
        with BagWriter(tmp_path / "bag", request.param) as bag:
            for topic in ("/a", "/b"):
                bag.add_topic(topic, POSE_TYPE)
            for topic, stamp in stamps:
                bag.write(topic, stamp, b"\0\1\0\0")
        with BagReader(tmp_path / "bag") as bag:
            return BagTimes.of(bag, topics)

    return of


def test_messages_at_0_before_a_real_time_have_none(times):
    found = times(
        ("/a", 0), ("/a", 0), ("/b", 0), ("/a", NOW), ("/b", NOW + 1), topics=("/a", "/b")
    )
    assert found.start == NOW
    assert found.timeless == {"/a": 2, "/b": 1}
    assert found.complaint() == (
        "3 messages have no time (0 s, the next one is at 1700000000.000 s (2023-11-14 22:13:20"
        " UTC)) and cannot be played: /a 2, /b 1"
    )


def test_a_simulation_begins_at_0(times):
    found = times(("/a", 0), ("/a", 100_000_000), ("/a", 20_000_000_000))
    assert (found.start, found.complaint()) == (0, "")
    assert not found.timeless


def test_other_topics_do_not_begin_a_recording(times):
    found = times(("/b", 0), ("/b", 5), ("/a", NOW))
    assert (found.start, found.complaint()) == (NOW, "")


@pytest.mark.parametrize("stamps", [[], [("/a", 0)]])
def test_a_bag_without_any_time_begins_at_0(times, stamps):
    assert times(*stamps).start == 0


def test_times_are_said_for_people():
    assert time_text(12_345_678_901) == "12.346 s"
    assert duration_text(12_340_000_000) == "12.3 s"
    assert duration_text(3_600_000_000_000) == "1.0 hours"
    assert duration_text(200 * 3_600_000_000_000) == "8.3 days"
    assert duration_text(NOW) == "53.9 years"
