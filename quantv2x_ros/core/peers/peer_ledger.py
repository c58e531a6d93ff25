# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When each station was heard last, and why it was refused last, for reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantv2x_ros.core.peers.peers import PeerField
from quantv2x_ros.core.peers.registry import PeerRegistry


@dataclass(frozen=True)
class PeerEntry:
    """What is told of a station.

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


@dataclass(eq=False)
class _Refusals:
    count: int = 0
    reason: str = ""
    text: str = ""
    last: float = -math.inf


class PeerLedger:
    """Notes refusals in the stations' records, of strangers, too, who have none but for that."""

    def __init__(self, registry: PeerRegistry) -> None:
        """Note nothing yet.

        Args:
            registry: of the stations.
        """
        self._registry = registry
        self._refusals = PeerField(_Refusals)

    def refuse(self, station_id: int, reason: str, text: str, now: float) -> None:
        """Note that a message of a station was refused.

        Args:
            station_id: as the message claims.
            reason: as it is counted.
            text: what was got, and what is allowed.
            now: seconds of a steady clock.
        """
        refusals = self._refusals.of(self._registry.meet(station_id, now))
        refusals.count += 1
        refusals.reason, refusals.text, refusals.last = reason, text, now

    def entries(self, now: float) -> dict[int, PeerEntry]:
        """Return what is known of every station that was heard or refused, by id.

        Args:
            now: seconds of a steady clock; who expired by then is forgotten.
        """
        self._registry.expire(now)
        entries = {}
        for record in self._registry.records():
            heard = None if math.isinf(record.heard) else record.heard
            refusals = self._refusals.find(record)
            if refusals is not None:
                entries[record.station_id] = PeerEntry(
                    heard, refusals.count, refusals.reason, refusals.text, refusals.last
                )
            elif heard is not None:
                entries[record.station_id] = PeerEntry(heard)
        return dict(sorted(entries.items()))
