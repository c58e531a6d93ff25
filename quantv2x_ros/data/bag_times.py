# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When a bag's messages are played: some have no time, some come after a long gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone

from quantv2x_ros.data.bag import BagMessage, BagReader

#: A bag whose times go on from 0 has the time of a simulation. One whose next message after those
#: at 0 is later than this was recorded by a node that had no time yet; nanoseconds.
NO_TIME_GAP = 10_000_000_000

_SECOND = 1_000_000_000
_YEAR_2000 = 946_684_800 * _SECOND


@dataclass(frozen=True)
class BagTimes:
    """The beginning of a bag, seen from some of its topics.

    Attributes:
        start: start of playing: time of the first message that has one, nanoseconds.
        timeless: number of messages at time 0 that have no time, by topic: the recorder waited for
            a clock, or the clock of the messages' publisher was not set.
    """

    start: int
    timeless: Counter[str]

    @classmethod
    def of(cls, bag: BagReader, topics: Collection[str]) -> BagTimes:
        """Read the beginning of a bag.

        Args:
            bag: an open bag.
            topics: names of those that are played; others may be much older.

        Raises:
            BagError: if the bag is damaged or has no such topic.
        """
        zeros: Counter[str] = Counter()
        for message in bag.messages(topics):
            if message.stamp > 0:
                has_time = message.stamp <= NO_TIME_GAP
                first = 0 if zeros and has_time else message.stamp
                return cls(first, Counter() if has_time else zeros)
            zeros[message.topic] += 1
        return cls(0, Counter())

    def has_time(self, message: BagMessage) -> bool:
        """Tell whether a message has a time."""
        return message.stamp > 0 or not self.timeless

    def complaint(self) -> str:
        """Return what is wrong with the bag's first messages; empty if nothing is."""
        if not self.timeless:
            return ""
        number = sum(self.timeless.values())
        counts = ", ".join(f"{topic} {count}" for topic, count in sorted(self.timeless.items()))
        return (
            f"{number} message{'s have' if number > 1 else ' has'} no time (0 s, the next one is at"
            f" {time_text(self.start)}) and cannot be played: {counts}"
        )


def time_text(nanoseconds: int) -> str:
    """Return a time for a person: seconds, and the date where it is one."""
    text = f"{nanoseconds / 1e9:.3f} s"
    if nanoseconds < _YEAR_2000:
        return text
    moment = datetime.fromtimestamp(nanoseconds // _SECOND, timezone.utc)
    return f"{text} ({moment:%Y-%m-%d %H:%M:%S} UTC)"


def duration_text(nanoseconds: int) -> str:
    """Return a duration for a person, in its largest usual unit."""
    seconds = nanoseconds / 1e9
    for length, unit in ((365.25 * 86400.0, "years"), (86400.0, "days"), (3600.0, "hours")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
