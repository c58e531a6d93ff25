# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stations are listened to, and how much of each: bounded, and fair to those that work."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from quantv2x_ros.core.peer_limits import RATE_REFUSALS, PeerLimits
from quantv2x_ros.core.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.replay_guard import ReplayGuard

__all__ = ["RATE_REFUSALS", "Peer", "PeerLimits", "PeerRefusedError", "PeerTable", "Standing"]

#: A newcomer that has not been fused after so long may be replaced by another one, seconds.
PROBATION = 1.0
#: Processor time that a station may take at once after a pause, seconds.
BURST = 0.5


class PeerRefusedError(ValueError):
    """A message of a station that is not listened to now.

    Attributes:
        reason: ``too_many_stations``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Standing(IntEnum):
    """What a station has shown so far; a lower one makes room for a higher one."""

    NEWCOMER = 0  # its messages are well formed
    WORKING = 1  # its sweeps are fused
    VERIFIED = 2  # its signature is one of the key ring


@dataclass(eq=False)
class Peer:
    """A tracked station.

    Attributes:
        station_id: its id.
        joined: since when it is tracked, seconds of the steady clock.
        heard: when its last accepted message came.
        guard: what it has sent of late.
        verified: whether its last accepted message was signed by a known key.
    """

    station_id: int
    joined: float
    heard: float
    guard: ReplayGuard
    bucket: TokenBucket
    budget: LoadBudget
    verified: bool = False
    fused: float = -math.inf


@dataclass
class PeerTable:
    """Admits stations in two steps.

    `may_speak` costs next to nothing and comes before all checks of a message, `admit` after them.

    Attributes:
        own_station: always has a place of its own.
        limits: what is granted.
    """

    own_station: int
    limits: PeerLimits = field(default_factory=PeerLimits)
    _peers: dict[int, Peer] = field(default_factory=dict)
    _evicted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the newcomers' shared bucket."""
        self._newcomers = _bucket(self.limits.newcomer_rate)
        self._newcomers_budget = LoadBudget(self.limits.newcomer_load, BURST)

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

    def spend(self, station_id: int, seconds: float, now: float) -> None:
        """Book what a message cost that was allowed to speak.

        Args:
            station_id: of its sender.
            seconds: of processor time.
            now: seconds of a steady clock.
        """
        self._budget(self._peers.get(station_id), now).spend(seconds)

    def _budget(self, peer: Peer | None, now: float) -> LoadBudget:
        """The budget that a station draws on: its own once it has shown to be of use."""
        if peer is None or self.standing(peer, now) is Standing.NEWCOMER:
            return self._newcomers_budget
        return peer.budget

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
            self._make_room(station_id, now, verified)
            guard = ReplayGuard(self.limits.replay_window)
            budget = LoadBudget(self.limits.load, BURST)
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
                peer.fused = now

    def take_evicted(self) -> list[int]:
        """Return the stations that are no longer tracked since the last call."""
        evicted, self._evicted = self._evicted, []
        return evicted

    def reset(self) -> None:
        """Forget everyone, as after a jump in time."""
        self._peers.clear()
        self._evicted.clear()

    def standing(self, peer: Peer, now: float) -> Standing:
        """Return what a peer has shown of late."""
        if peer.verified:
            return Standing.VERIFIED
        works = now - peer.fused <= self.limits.forget_after
        return Standing.WORKING if works else Standing.NEWCOMER

    def _make_room(self, station_id: int, now: float, verified: bool) -> None:
        if station_id == self.own_station or self._others() < self.limits.max_peers:
            return
        for peer in list(self._peers.values()):
            if now - peer.heard > self.limits.forget_after:
                self._evict(peer)
        if self._others() < self.limits.max_peers:
            return
        rank = Standing.VERIFIED if verified else Standing.NEWCOMER
        weaker = [
            peer
            for peer in self._peers.values()
            if peer.station_id != self.own_station and self._yields(peer, rank, now)
        ]
        if not weaker:
            raise PeerRefusedError(
                "too_many_stations",
                f"station {station_id} is one more than the {self.limits.max_peers} listened to",
            )
        self._evict(min(weaker, key=lambda peer: (self.standing(peer, now), peer.joined)))

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
