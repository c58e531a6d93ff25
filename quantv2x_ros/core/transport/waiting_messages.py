# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that wait unread while a frame is in work, so that nothing is decoded in vain.

A computer that fuses fewer frames than sweeps come needs few of its peers' messages: those near
the sweep that it takes next. Which one that is shows only when the frame in work is done. Until
then newer messages wait here as bytes, in bounded memory, and the rest is forgotten unread.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

#: Messages that wait of a station; the oldest make room. At 800 a second, the most that is looked
#: at, a third of a second; of an honest station with 40 a second six.
MESSAGES = 256
#: Bytes that wait of a station.
STATION_BYTES = 1_000_000
#: Stations whose messages wait: those that are known, and those that anybody can invent.
KNOWN_STATIONS, STRANGERS = 64, 8


@dataclass(frozen=True)
class WaitingMessage:
    """A message that nobody has read.

    Attributes:
        stamp_ns: time of its sweep as it says, nanoseconds.
        content: serialized.
    """

    stamp_ns: int
    content: bytes


@dataclass(eq=False)
class _Queue:
    messages: deque[WaitingMessage] = field(default_factory=deque)
    size: int = 0

    def append(self, message: WaitingMessage) -> int:
        """Add a message; returns how many made room for it."""
        self.messages.append(message)
        self.size += len(message.content)
        forgotten = 0
        while len(self.messages) > MESSAGES or self.size > STATION_BYTES:
            self.size -= len(self.messages.popleft().content)
            forgotten += 1
        return forgotten


class WaitingMessages:
    """See the module. Not thread-safe.

    Attributes:
        unread: messages that were forgotten unread, since no frame needed them.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._known: OrderedDict[int, _Queue] = OrderedDict()
        self._strangers: OrderedDict[int, _Queue] = OrderedDict()
        self.unread = 0

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return sum(len(q.messages) for t in (self._known, self._strangers) for q in t.values())

    def keep(self, station_id: int, message: WaitingMessage, is_known: bool) -> None:
        """Let a message wait.

        Args:
            station_id: ETSI StationID of its sender, as it says.
            message: the message.
            is_known: whether the station is tracked; others have few places, which they take from
                each other alone.
        """
        table, most = (self._known, KNOWN_STATIONS) if is_known else (self._strangers, STRANGERS)
        queue = table.get(station_id)
        if queue is None:
            while len(table) >= most:
                self.unread += len(table.popitem(last=False)[1].messages)
            queue = table[station_id] = _Queue()
        self.unread += queue.append(message)

    def newest_stamp(self, station_id: int) -> int | None:
        """Return the newest time of a station's messages that wait, nanoseconds."""
        queues = (table.get(station_id) for table in (self._known, self._strangers))
        stamps = [message.stamp_ns for q in queues if q is not None for message in q.messages]
        return max(stamps, default=None)

    def take(self, stamp_ns: int | None, reach_ns: int) -> list[WaitingMessage]:
        """Return what a frame needs: of each station the messages of the sweeps nearest to it.

        Those are all within the reach, or of a station that has none there the newest sweep
        before. What is older is forgotten, what is newer waits on.

        Args:
            stamp_ns: time of the frame, nanoseconds; None where it is not known: then of each
                station the newest are returned.
            reach_ns: half the time between two sweeps, nanoseconds.

        Returns:
            The messages in the order in which they came, station by station; known ones first.
        """
        taken: list[WaitingMessage] = []
        for table in (self._known, self._strangers):
            for station in list(table):
                messages = table.pop(station).messages
                when = max(m.stamp_ns for m in messages) if stamp_ns is None else stamp_ns
                chosen, later = self._split(messages, when, reach_ns)
                taken += chosen
                for message in later:
                    self.keep(station, message, table is self._known)
        return taken

    def _split(
        self, messages: deque[WaitingMessage], stamp_ns: int, reach_ns: int
    ) -> tuple[list[WaitingMessage], list[WaitingMessage]]:
        """Part a station's messages into those of the frame, and later ones."""
        until = stamp_ns + reach_ns
        later = [m for m in messages if m.stamp_ns > until]
        near = [m for m in messages if stamp_ns - reach_ns <= m.stamp_ns <= until]
        if not near:
            newest = max((m.stamp_ns for m in messages if m.stamp_ns <= until), default=None)
            near = [m for m in messages if m.stamp_ns == newest]
        self.unread += len(messages) - len(near) - len(later)
        return near, later

    def clear(self) -> None:
        """Forget all, as after a jump in time."""
        self._known.clear()
        self._strangers.clear()
