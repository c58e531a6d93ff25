# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stations are listened to, and how much of each: bounded, and fair to those that work."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from quantv2x_ros.core.peers.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.peers.replay_guard import ReplayGuard

#: Why `PeerTable.may_speak` refuses.
RATE_REFUSALS = {
    "rate": "a tracked station sends more messages than max_message_rate",
    "rate_newcomers": "stations not yet tracked send more messages than newcomer_message_rate",
    "load": "a station's messages take more of a processor than max_station_load, and are more "
    "than assured_sweep_rate",
    "load_newcomers": "messages of stations that were not yet fused take more of a processor than "
    "newcomer_load, and are more than assured_sweep_rate",
}


@dataclass(frozen=True)
class PeerLimits:
    """What is granted to stations.

    Attributes:
        max_peers: stations tracked at a time, the own one not counted.
        rate: messages of a tracked station, 1/s.
        newcomer_rate: messages of all stations together that are not tracked yet, 1/s: invented
            station ids share it, however many there are.
        load: share of a processor that the messages of one station may take, which works or is
            verified.
        newcomer_load: the same of all other stations together.
        sweeps: work that neither bound refuses, however slow the machine: sweeps a second of each
            station that works or is verified, and of all others together.
        forget_after: a station silent for so long is forgotten, seconds.
        replay_window: how late a sweep may come behind its station's newest, seconds.
    """

    max_peers: int = 32
    rate: float = 800.0
    newcomer_rate: float = 100.0
    load: float = 0.25
    newcomer_load: float = 0.05
    sweeps: float = 20.0
    forget_after: float = 5.0
    replay_window: float = 1.0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if self.max_peers < 1:
            raise ValueError(f"max_peers: got {self.max_peers}, expected 1 or more")
        positive = ("rate", "newcomer_rate", "load", "newcomer_load", "sweeps", "forget_after")
        for name in (*positive, "replay_window"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected a positive number")


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
    ESTABLISHED = 2  # they have been for long
    VERIFIED = 3  # its signature is one of the key ring


@dataclass(eq=False)
class Peer:
    """A tracked station.

    Attributes:
        station_id: its id.
        joined: since when it is tracked, seconds of the steady clock.
        heard: when its last accepted message came.
        guard: what it has sent of late.
        verified: whether its last accepted message was signed by a known key.
        fused: when its sweeps were fused last.
        works_since: since when they have been without a gap.
    """

    station_id: int
    joined: float
    heard: float
    guard: ReplayGuard
    bucket: TokenBucket
    budget: LoadBudget
    verified: bool = False
    fused: float = -math.inf
    works_since: float = math.inf


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
            station_id: ETSI StationID of its sender.
            seconds: seconds of processor time.
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
        peer = self._peers.get(station_id)
        if peer is None:
            self._leaving(station_id, now, verified)
        elif station_id != self.own_station:
            peer.guard.check(stamp_ns, sequence, tile)

    def admit(self, station_id: int, now: float, verified: bool) -> Peer:
        """Return the station that sent a message which has passed all checks of its content.

        Args:
            station_id: ETSI StationID of the sender.
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
