# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of each station is listened to: bounded, and fair to those that work."""

from __future__ import annotations

from dataclasses import dataclass

from quantv2x_ros.core.peers.peers import PeerField, PeerRecord, Standing
from quantv2x_ros.core.peers.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.peers.replay_guard import ReplayGuard

#: Why `PeerAdmission.may_speak` refuses.
RATE_REFUSALS = {
    "rate": "a tracked station sends more messages than max_message_rate",
    "rate_newcomers": "stations not yet tracked send more messages than newcomer_message_rate",
    "load": "a station's messages take more of a processor than max_station_load, and are more "
    "than assured_sweep_rate",
    "load_newcomers": "messages of stations that were not yet fused take more of a processor than "
    "newcomer_load, and are more than assured_sweep_rate",
}
#: Processor time that a station may take at once after a pause, seconds.
BURST = 0.5


@dataclass(eq=False)
class _Grant:
    """What a tracked station may send, and what it has sent of late."""

    bucket: TokenBucket
    budget: LoadBudget
    guard: ReplayGuard


class PeerAdmission:
    """Admits messages in three steps; one thread calls it.

    `may_speak` costs next to nothing and comes before all checks of a message, `check` before it is
    decoded, `admit` after that.
    """

    def __init__(self, registry: PeerRegistry) -> None:
        """Prepare the newcomers' shared bounds.

        Args:
            registry: of the stations; has the limits.
        """
        limits = self._limits = registry.limits
        self._registry = registry
        self._grants = PeerField(self._grant)
        self._newcomers = _bucket(limits.newcomer_rate)
        self._newcomers_budget = LoadBudget(limits.newcomer_load, BURST, limits.sweeps)

    def may_speak(self, station_id: int, now: float) -> str:
        """Take a message into account before anything else is done with it.

        Returns a reason instead of raising an error: in a flood this is all that happens to most
        messages, and has to be quick.

        Args:
            station_id: as the message claims.
            now: seconds of a steady clock.

        Returns:
            Empty, or for a message too many the reason: a key of `RATE_REFUSALS`.
        """
        record = self._registry.find(station_id)
        is_own = station_id == self._registry.own_station
        if record is None:
            if is_own:
                return ""
            if not self._newcomers.take(now):
                return "rate_newcomers"
        elif not self._grants.of(record).bucket.take(now):
            return "rate"
        budget = self._budget(record, now)
        if is_own or budget.is_left(now):
            return ""
        return "load" if budget is not self._newcomers_budget else "load_newcomers"

    def spend(self, station_id: int, seconds: float, sweeps: float, now: float) -> None:
        """Book what a message cost that was allowed to speak.

        Args:
            station_id: ETSI StationID of its sender.
            seconds: seconds of processor time.
            sweeps: the same as work: which part of a whole sweep it was.
            now: seconds of a steady clock.
        """
        self._budget(self._registry.find(station_id), now).spend(seconds, sweeps)

    def check(
        self, station_id: int, stamp_ns: int, sequence: int, tile: int, now: float, verified: bool
    ) -> None:
        """Check that a message is new, and that there is room for its station; changes nothing.

        Args:
            station_id: ETSI StationID of the sender.
            stamp_ns: time of its sweep.
            sequence: number of its sweep.
            tile: number of the tile.
            now: seconds of a steady clock.
            verified: whether a known key signed the message.

        Raises:
            PeerRefusedError: if the station is new and there is no room for it.
            ReplayError: if the message was sent before; see `ReplayGuard.check`.
        """
        self._registry.check(station_id, now, verified)
        grant = self._grants.find(self._registry.find(station_id))
        if grant is not None and station_id != self._registry.own_station:
            grant.guard.check(stamp_ns, sequence, tile)

    def admit(
        self, station_id: int, stamp_ns: int, sequence: int, tile: int, now: float, verified: bool
    ) -> PeerRecord:
        """Return the record of the station that sent a message which has passed all checks.

        Args:
            station_id: see `check`, as all others.
            stamp_ns: time of its sweep.
            sequence: number of its sweep.
            tile: number of the tile.
            now: seconds of a steady clock.
            verified: whether a known key signed the message.

        Raises:
            PeerRefusedError: see `check`.
            ReplayError: see `check`.
        """
        record = self._registry.admit(station_id, now, verified)
        if station_id != self._registry.own_station:
            self._grants.of(record).guard.admit(stamp_ns, sequence, tile)
        return record  # of the own, time is the measure of all others'; a jump back starts afresh

    def _budget(self, record: PeerRecord | None, now: float) -> LoadBudget:
        """The budget that a station draws on: its own once it has shown to be of use."""
        if record is None or self._registry.standing(record, now) is Standing.NEWCOMER:
            return self._newcomers_budget
        return self._grants.of(record).budget

    def _grant(self) -> _Grant:
        limits = self._limits
        return _Grant(
            _bucket(limits.rate),
            LoadBudget(limits.load, BURST, limits.sweeps),
            ReplayGuard(limits.replay_window),
        )


def _bucket(rate: float) -> TokenBucket:
    # a quarter of a second at once: the tiles of a sweep come together
    return TokenBucket(rate, max(1.0, rate / 4))
