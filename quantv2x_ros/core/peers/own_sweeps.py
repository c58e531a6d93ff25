# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells a station's own messages from those of another station that has the same id."""

from __future__ import annotations

from collections import OrderedDict

#: Own sweeps that are remembered, some seconds of them.
REMEMBERED = 256
#: Messages that wait until it is known whether they are own ones, and how long they do, seconds.
MOST_WAITING, PATIENCE = 64, 1.0


class OwnSweeps:
    """Remembers the stamps of the own sweeps.

    A message in the own name whose stamp is none of them is another station's: it came from a LiDAR
    of its own. It may overtake the news of its sweep, so that it is judged only after a while.
    """

    def __init__(self, began_ns: int) -> None:
        """Know no sweep yet.

        Args:
            began_ns: now, by the clock of the stamps, nanoseconds: older messages may be those of
                this station before it was started again.
        """
        self._began_ns = began_ns
        self._own: OrderedDict[int, None] = OrderedDict()
        self._waiting: OrderedDict[int, tuple[float, bytes]] = OrderedDict()

    def note(self, stamp_ns: int) -> None:
        """Note an own sweep, by its time in nanoseconds."""
        self._own[stamp_ns] = None
        while len(self._own) > REMEMBERED:
            self._own.popitem(last=False)

    def hear(self, stamp_ns: int, content: bytes, now: float) -> None:
        """Take a message in the own name.

        Args:
            stamp_ns: time of its sweep, nanoseconds.
            content: the message; one of a sweep is kept.
            now: seconds of a steady clock.
        """
        if stamp_ns > self._began_ns and stamp_ns not in self._own:
            self._waiting.setdefault(stamp_ns, (now, content))
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)

    def foreign(self, now: float) -> list[bytes]:
        """Return the messages, one a sweep, that were waited for long enough and are not own ones.

        Args:
            now: seconds of a steady clock.
        """
        judged = [stamp for stamp, (came, _) in self._waiting.items() if now - came >= PATIENCE]
        messages = {stamp: self._waiting.pop(stamp)[1] for stamp in judged}
        return [content for stamp, content in messages.items() if stamp not in self._own]
