# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stations are listened to, and how much of each: bounded, and fair to those that work."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from quantv2x_ros.core.peer import Peer, PeerRefusedError, Standing
from quantv2x_ros.core.peer_limits import RATE_REFUSALS, PeerLimits
from quantv2x_ros.core.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.replay_guard import ReplayGuard

__all__ = ["RATE_REFUSALS", "Peer", "PeerLimits", "PeerRefusedError", "PeerTable", "Standing"]

#: A newcomer that has not been fused after so long may be replaced by another one, seconds.
PROBATION = 1.0
#: Processor time that a station may take at once after a pause, seconds.
BURST = 0.5
#: A station that has worked for so long keeps its place before those that came later, seconds.
ESTABLISHED_AFTER = 30.0
#: A station works while it was fused in one of so many frames, however slow they follow each other.
_FRAMES = 4


@dataclass
class PeerTable:
    """Admits stations in three steps.

    `may_speak` costs next to nothing and comes before all checks of a message, `check` before it is
    decoded, `admit` after that.

    Attributes:
        own_station: always has a place of its own.
        limits: what is granted.
    """

    own_station: int
    limits: PeerLimits = field(default_factory=PeerLimits)
    _peers: dict[int, Peer] = field(default_factory=dict)
    _evicted: list[int] = field(default_factory=list)
    _frames: deque[float] = field(default_factory=lambda: deque(maxlen=_FRAMES))

    def __post_init__(self) -> None:
        """Prepare the newcomers' shared bucket."""
        self._newcomers = _bucket(self.limits.newcomer_rate)
        self._newcomers_budget = LoadBudget(self.limits.newcomer_load, BURST, self.limits.sweeps)

    def __len__(self) -> int:
        """Return the number of stations tracked, the own one included."""
        return len(self._peers)

    def __contains__(self, station_id: int) -> bool:
        """Whether a station is tracked."""
        return station_id in self._peers

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
        peer = self._peers.get(station_id)
        if peer is None:
            if station_id == self.own_station:
                return ""
            if not self._newcomers.take(now):
                return "rate_newcomers"
        elif not peer.bucket.take(now):
            return "rate"
        budget = self._budget(peer, now)
        if station_id == self.own_station or budget.is_left(now):
            return ""
        return "load" if budget is not self._newcomers_budget else "load_newcomers"

    def spend(self, station_id: int, seconds: float, sweeps: float, now: float) -> None:
        """Book what a message cost that was allowed to speak.

        Args:
            station_id: of its sender.
            seconds: of processor time.
            sweeps: the same as work: which part of a whole sweep it was.
            now: seconds of a steady clock.
        """
        self._budget(self._peers.get(station_id), now).spend(seconds, sweeps)

    def _budget(self, peer: Peer | None, now: float) -> LoadBudget:
        """The budget that a station draws on: its own once it has shown to be of use."""
        if peer is None or self.standing(peer, now) is Standing.NEWCOMER:
            return self._newcomers_budget
        return peer.budget

    def check(
        self, station_id: int, stamp_ns: int, sequence: int, tile: int, now: float, verified: bool
    ) -> None:
        """Check that a message is new, and that there is room for its station; changes nothing.

        Args:
            station_id: of the sender.
            stamp_ns: time of its sweep.
            sequence: number of its sweep.
            tile: number of the tile.
            now: seconds of a steady clock.
            verified: whether a known key signed the message.

        Raises:
            PeerRefusedError: if the station is new and there is no room for it.
            ReplayError: if the message was sent before; see `ReplayGuard.check`.
        """
        peer = self._peers.get(station_id)
        if peer is None:
            self._leaving(station_id, now, verified)
        elif station_id != self.own_station:
            peer.guard.check(stamp_ns, sequence, tile)

    def admit(self, station_id: int, now: float, verified: bool) -> Peer:
        """Return the station that sent a message which has passed all checks of its content.

        Args:
            station_id: of the sender.
            now: seconds of a steady clock.
            verified: whether a known key signed the message.

        Raises:
            PeerRefusedError: if it is new and there is no room for it.
        """
        peer = self._peers.get(station_id)
        if peer is None:
            for leaving in self._leaving(station_id, now, verified):
                self._evict(leaving)
            guard = ReplayGuard(self.limits.replay_window)
            budget = LoadBudget(self.limits.load, BURST, self.limits.sweeps)
            peer = Peer(station_id, now, now, guard, _bucket(self.limits.rate), budget)
            self._peers[station_id] = peer
        peer.heard = now
        peer.verified = verified
        return peer

    def note_fused(self, station_ids: Iterable[int], now: float) -> None:
        """Remember which stations' sweeps were of use."""
        for station in station_ids:
            peer = self._peers.get(station)
            if peer is not None:
                if not self._works(peer, now):
                    peer.works_since = now
                peer.fused = now
        self._frames.append(now)

    def take_evicted(self) -> list[int]:
        """Return the stations that are no longer tracked since the last call."""
        evicted, self._evicted = self._evicted, []
        return evicted

    def reset(self) -> None:
        """Forget everyone, as after a jump in time."""
        self._peers.clear()
        self._evicted.clear()
        self._frames.clear()

    def standing(self, peer: Peer, now: float) -> Standing:
        """Return what a peer has shown of late."""
        if peer.verified:
            return Standing.VERIFIED
        if not self._works(peer, now):
            return Standing.NEWCOMER
        is_old = peer.fused - peer.works_since >= ESTABLISHED_AFTER
        return Standing.ESTABLISHED if is_old else Standing.WORKING

    def standing_of(self, station_id: int, now: float) -> Standing:
        """Return what the station of an id has shown of late; one not tracked is a newcomer."""
        peer = self._peers.get(station_id)
        return Standing.NEWCOMER if peer is None else self.standing(peer, now)

    def works_since(self, station_id: int) -> float:
        """Return since when a station is fused without a gap, seconds; infinite: it is not."""
        peer = self._peers.get(station_id)
        return math.inf if peer is None else peer.works_since

    def waits_since(self, station_id: int) -> float:
        """Return when a station was fused last, or joined, seconds; one not tracked comes last."""
        peer = self._peers.get(station_id)
        return math.inf if peer is None else max(peer.fused, peer.joined)

    def _works(self, peer: Peer, now: float) -> bool:
        """Whether a peer was fused of late, by the clock or by a slow machine's frames."""
        if now - peer.fused <= self.limits.forget_after:
            return True
        return len(self._frames) == _FRAMES and peer.fused >= self._frames[0]

    def _leaving(self, station_id: int, now: float, verified: bool) -> list[Peer]:
        """Return who makes room for a new station; nobody where there is some.

        Raises:
            PeerRefusedError: where there is none.
        """
        if station_id == self.own_station or self._others() < self.limits.max_peers:
            return []
        others = [peer for peer in self._peers.values() if peer.station_id != self.own_station]
        silent = [peer for peer in others if now - peer.heard > self.limits.forget_after]
        if silent:
            return silent
        rank = Standing.VERIFIED if verified else Standing.NEWCOMER
        weaker = [peer for peer in others if self._yields(peer, rank, now)]
        if not weaker:
            raise PeerRefusedError(
                "too_many_stations",
                f"station {station_id} is one more than the {self.limits.max_peers} listened to",
            )
        return [min(weaker, key=lambda peer: (self.standing(peer, now), peer.joined))]

    def _yields(self, peer: Peer, rank: Standing, now: float) -> bool:
        """Whether a peer makes room for a new one: it ranks lower, or had its chance."""
        standing = self.standing(peer, now)
        had_chance = standing is Standing.NEWCOMER and now - peer.joined > PROBATION
        return standing < rank or had_chance

    def _others(self) -> int:
        return len(self._peers) - (self.own_station in self._peers)

    def _evict(self, peer: Peer) -> None:
        del self._peers[peer.station_id]
        self._evicted.append(peer.station_id)


def _bucket(rate: float) -> TokenBucket:
    # a quarter of a second at once: the tiles of a sweep come together
    return TokenBucket(rate, max(1.0, rate / 4))
