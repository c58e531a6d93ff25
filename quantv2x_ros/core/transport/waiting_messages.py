# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that wait unread while a frame is in work, so that nothing is decoded in vain.

A computer that fuses fewer frames than sweeps come needs few of its peers' messages: those near
the sweep that it takes next. Which one that is shows only when the frame in work is done. Until
then newer messages wait as bytes in their stations' records, in bounded memory, and the rest is
forgotten unread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from quantv2x_ros.core.peers.peers import PeerField
from quantv2x_ros.core.peers.registry import PeerRegistry

#: Messages that wait of a station; the oldest make room. At 800 a second, the most that is looked
#: at, a third of a second; of an honest station with 40 a second six.
MESSAGES = 256
#: Bytes that wait of a station.
STATION_BYTES = 1_000_000


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

    def append(self, message: WaitingMessage) -> None:
        """Add a message; the oldest make room for it."""
        self.messages.append(message)
        self.size += len(message.content)
        while len(self.messages) > MESSAGES or self.size > STATION_BYTES:
            self.size -= len(self.messages.popleft().content)

    def take(self, stamp_ns: int | None, reach_ns: int) -> list[WaitingMessage]:
        """Return what a frame needs, and keep what is for later ones; see `WaitingMessages`."""
        messages, self.messages, self.size = self.messages, deque(), 0
        if stamp_ns is None:
            stamp_ns = max((m.stamp_ns for m in messages), default=0)
        until = stamp_ns + reach_ns
        near = [m for m in messages if stamp_ns - reach_ns <= m.stamp_ns <= until]
        if not near:
            newest = max((m.stamp_ns for m in messages if m.stamp_ns <= until), default=None)
            near = [m for m in messages if m.stamp_ns == newest]
        for message in messages:
            if message.stamp_ns > until:
                self.append(message)
        return near


class WaitingMessages:
    """See the module. Not thread-safe, but for the registry."""

    def __init__(self, registry: PeerRegistry) -> None:
        """Hold nothing yet.

        Args:
            registry: of the stations. Those that are not tracked have few records, which they take
                from each other alone, and with them what waits.
        """
        self._registry = registry
        self._queues = PeerField(_Queue)
        self._kept = 0

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return sum(len(queue.messages) for queue in self._all())

    @property
    def unread(self) -> int:
        """Messages that were forgotten unread: no frame needed them, or their station has gone."""
        return self._kept - len(self)

    def keep(self, station_id: int, message: WaitingMessage, now: float) -> None:
        """Let a message wait.

        Args:
            station_id: ETSI StationID of its sender, as it says.
            message: the message.
            now: seconds of a steady clock.
        """
        self._kept += 1
        self._queues.of(self._registry.meet(station_id, now)).append(message)

    def newest_stamp(self, station_id: int) -> int | None:
        """Return the newest time of a tracked station's messages that wait, nanoseconds."""
        queue = self._queues.find(self._registry.find(station_id))
        return max((m.stamp_ns for m in queue.messages), default=None) if queue else None

    def take(self, stamp_ns: int | None, reach_ns: int) -> list[WaitingMessage]:
        """Return what a frame needs: of each station the messages of the sweeps nearest to it.

        Those are all within the reach, or of a station that has none there the newest sweep
        before. What is older is forgotten, what is newer waits on.

        Args:
            stamp_ns: time of the frame, nanoseconds; None where it is not known: then of each
                station the newest are returned.
            reach_ns: half the time between two sweeps, nanoseconds.

        Returns:
            The messages in the order in which they came, station by station; tracked ones first.
        """
        taken = [m for queue in self._all() for m in queue.take(stamp_ns, reach_ns)]
        self._kept -= len(taken)
        return taken

    def _all(self) -> list[_Queue]:
        queues = (self._queues.find(record) for record in self._registry.records())
        return [queue for queue in queues if queue is not None]
