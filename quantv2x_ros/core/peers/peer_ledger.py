# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When each station was heard last, and why it was refused last: bounded, for reports."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

#: Stations remembered of which something was accepted.
MAX_KNOWN = 64
#: Stations remembered of which nothing was: anybody can invent them.
MAX_STRANGERS = 8
#: A station is forgotten so long after it was heard or refused, seconds.
FORGET_AFTER = 60.0


@dataclass
class PeerEntry:
    """What is known of a station.

    Attributes:
        heard: when something of it was accepted last, seconds of a steady clock; None: never.
        refusals: messages refused.
        reason: reason of the last refusal, as it is counted; empty: none.
        text: what was got, and what is allowed.
        refused: when that was.
    """

    heard: float | None = None
    refusals: int = 0
    reason: str = ""
    text: str = ""
    refused: float | None = None

    @property
    def latest(self) -> float:
        """When something came of it last."""
        return max(time for time in (self.heard, self.refused, 0.0) if time is not None)


class PeerLedger:
    """Remembers stations. Invented ones displace each other, never one that was accepted."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self._known: OrderedDict[int, PeerEntry] = OrderedDict()
        self._strangers: OrderedDict[int, PeerEntry] = OrderedDict()

    def hear(self, station_id: int, now: float) -> None:
        """Note that something of a station was accepted.

        Args:
            station_id: its id.
            now: seconds of a steady clock.
        """
        entry = self._known.get(station_id)
        if entry is None:
            entry = self._strangers.pop(station_id, None) or PeerEntry()
            self._known[station_id] = entry
        entry.heard = now
        self._known.move_to_end(station_id)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def refuse(self, station_id: int, reason: str, text: str, now: float) -> None:
        """Note that a message of a station was refused.

        Args:
            station_id: as the message claims.
            reason: as it is counted.
            text: what was got, and what is allowed.
            now: seconds of a steady clock.
        """
        entry = self._known.get(station_id)
        if entry is None:
            entry = self._strangers.setdefault(station_id, PeerEntry())
            self._strangers.move_to_end(station_id)
            while len(self._strangers) > MAX_STRANGERS:
                self._strangers.popitem(last=False)
        entry.refusals += 1
        entry.reason, entry.text, entry.refused = reason, text, now

    def entries(self, now: float) -> dict[int, PeerEntry]:
        """Return what is known of every station that is not forgotten, by id."""
        for table in (self._known, self._strangers):
            for station in [s for s, e in table.items() if now - e.latest > FORGET_AFTER]:
                del table[station]
        return dict(sorted({**self._strangers, **self._known}.items()))

    def reset(self) -> None:
        """Forget everyone."""
        self._known.clear()
        self._strangers.clear()
