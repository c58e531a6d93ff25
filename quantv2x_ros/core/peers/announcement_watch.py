# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds another station that announces itself under the own id.

Announcements are latched: one that is older than the own may be of this station before it was
started again, kept by a bridge. So it is answered by another announcement, and only who announces
anew after that is another station.
"""

from __future__ import annotations

import math
from collections import OrderedDict

#: Time between announcements while another station is suspected, seconds.
REPEAT = 10.0
#: So long after its last announcement another station is no longer told of, seconds.
FORGET_AFTER = 30.0
#: Shortest time between two announcements, seconds.
_PAUSE = 0.5
#: Announcements remembered, own and foreign.
_REMEMBERED = 64


class AnnouncementWatch:
    """Compares what is heard under the own id with what was announced."""

    def __init__(self) -> None:
        """Nothing is announced yet."""
        self._own: OrderedDict[int, None] = OrderedDict()
        self._foreign: OrderedDict[int, None] = OrderedDict()
        self._announced = -math.inf
        self._answered = False
        self._heard = -math.inf
        self._shared = -math.inf

    def note(self, stamp_ns: int, now: float) -> None:
        """Note an own announcement.

        Args:
            stamp_ns: its time, nanoseconds.
            now: seconds of a steady clock.
        """
        self._answered = bool(self._foreign)
        self._announced = now
        _remember(self._own, stamp_ns)

    def hear(self, stamp_ns: int, now: float) -> None:
        """Take an announcement under the own id.

        Args:
            stamp_ns: its time, nanoseconds.
            now: seconds of a steady clock.
        """
        if stamp_ns in self._own or stamp_ns in self._foreign:
            return
        if self._answered or stamp_ns > max(self._own, default=stamp_ns):
            self._shared = now
        self._heard = now
        _remember(self._foreign, stamp_ns)

    def is_due(self, now: float) -> bool:
        """Return whether to announce once more, to see whether somebody answers.

        Args:
            now: seconds of a steady clock.
        """
        if now - self._heard > FORGET_AFTER:
            return False
        return now - self._announced >= (REPEAT if self._answered else _PAUSE)

    def is_shared(self, now: float) -> bool:
        """Return whether another station has the own id, seconds of a steady clock."""
        return now - self._shared <= FORGET_AFTER


def _remember(table: OrderedDict[int, None], stamp_ns: int) -> None:
    table[stamp_ns] = None
    while len(table) > _REMEMBERED:
        table.popitem(last=False)
