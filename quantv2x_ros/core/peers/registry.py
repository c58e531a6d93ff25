# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One record of each station: one bound, one expiry, one way to be forgotten.

Whatever a receiver knows of a station lies in that station's record. Components keep no table of
stations of their own: each has a `PeerField` of every record. So a flood of invented stations can
fill one table alone, and a station that goes is gone everywhere.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from quantv2x_ros.core.peers.peers import (
    ESTABLISHED_AFTER,
    PROBATION,
    PeerLimits,
    PeerRecord,
    PeerRefusedError,
    Standing,
)

#: Stations with a record of which nothing was accepted yet: anybody can invent them.
MAX_STRANGERS = 8
#: A station works while it was fused in one of so many frames, however slow they follow each other.
_FRAMES = 4


class PeerRegistry:
    """Decides who is tracked, and holds what is known of each; any thread may call it.

    Tracked are stations of which a message was accepted, and the own one, which always finds room.
    Strangers have a record, too, so that it can be told why they are refused; they displace each
    other and nobody else. The parts of a record are not guarded: each belongs to the thread of its
    component.

    Attributes:
        own_station: its id; None: it is not listened to.
        limits: what is granted.
        on_forgotten: called with each station that is no longer tracked, but for a `reset`, by the
            thread that admits, forgets or expires; it may call the registry.
    """

    def __init__(
        self,
        own_station: int | None = None,
        limits: PeerLimits | None = None,
        on_forgotten: Callable[[int], object] = lambda station: None,
    ) -> None:
        """Know nobody yet.

        Args:
            own_station: its id; None: it is not listened to.
            limits: what is granted; None for the defaults.
            on_forgotten: see the class.
        """
        self.own_station = own_station
        self.limits = PeerLimits() if limits is None else limits
        self.on_forgotten = on_forgotten
        self._lock = threading.Lock()
        self._tracked: dict[int, PeerRecord] = {}
        self._strangers: OrderedDict[int, PeerRecord] = OrderedDict()
        self._frames: deque[float] = deque(maxlen=_FRAMES)
        self._crowded = -math.inf

    def __len__(self) -> int:
        """Return the number of stations tracked, the own one included."""
        return len(self._tracked)

    def __contains__(self, station_id: int) -> bool:
        """Whether a station is tracked."""
        return station_id in self._tracked

    def find(self, station_id: int) -> PeerRecord | None:
        """Return the record of a tracked station."""
        return self._tracked.get(station_id)

    def tracked(self) -> list[PeerRecord]:
        """Return the records of all tracked stations."""
        with self._lock:
            return list(self._tracked.values())

    def records(self) -> list[PeerRecord]:
        """Return all records, those of tracked stations first."""
        with self._lock:
            return [*self._tracked.values(), *self._strangers.values()]

    def check(self, station_id: int, now: float, verified: bool = False) -> None:
        """Check that a station is tracked or finds room; this changes nothing.

        Args:
            station_id: its id.
            now: seconds of a steady clock.
            verified: whether a known key signed its message.

        Raises:
            PeerRefusedError: if there is no room for it.
        """
        with self._lock:
            if station_id not in self._tracked:
                self._leaving(station_id, now, verified)

    def admit(self, station_id: int, now: float, verified: bool | None = None) -> PeerRecord:
        """Return the record of a station of which a message was accepted; it is tracked from now.

        Args:
            station_id: its id.
            now: seconds of a steady clock.
            verified: whether a known key signed the message; None leaves what was known.

        Raises:
            PeerRefusedError: if it is new and there is no room for it.
        """
        if station_id not in self._tracked:
            self.expire(now)
        leaving: list[PeerRecord] = []
        with self._lock:
            record = self._tracked.get(station_id)
            if record is None:
                leaving = self._leaving(station_id, now, bool(verified))
                record = self._strangers.pop(station_id, None) or PeerRecord(station_id, now, now)
                record.joined = now
                self._replace(leaving, record, now)
            record.met = record.heard = now
            if verified is not None:
                record.verified = verified
        self._tell(leaving)
        return record

    def meet(self, station_id: int, now: float) -> PeerRecord:
        """Return a record in which something is noted of a station that may have no place.

        Args:
            station_id: its id, as it says.
            now: seconds of a steady clock.
        """
        with self._lock:
            record = self._tracked.get(station_id)
            if record is None and station_id == self.own_station:
                record = self._tracked[station_id] = PeerRecord(station_id, now, now)
            if record is None:
                record = self._strangers.get(station_id) or PeerRecord(station_id, now, now)
                self._strangers[station_id] = record
                self._strangers.move_to_end(station_id)
                while len(self._strangers) > MAX_STRANGERS:
                    self._strangers.popitem(last=False)
            record.met = now
            return record

    def forget(self, station_id: int) -> None:
        """Forget a station, with all that any component knows of it."""
        with self._lock:
            record = self._tracked.pop(station_id, None)
            self._strangers.pop(station_id, None)
        self._tell([] if record is None else [record])

    def expire(self, now: float) -> None:
        """Forget the stations of which nothing came for too long.

        Args:
            now: seconds of a steady clock.
        """
        with self._lock:
            oldest = now - self.limits.forget_after
            gone = [record for record in self._tracked.values() if record.met < oldest]
            for record in gone:
                del self._tracked[record.station_id]
            for name in [name for name, r in self._strangers.items() if r.met < oldest]:
                del self._strangers[name]
        self._tell(gone)

    def reset(self) -> None:
        """Forget everyone, as after a jump in time."""
        with self._lock:
            self._tracked.clear()
            self._strangers.clear()
            self._frames.clear()
            self._crowded = -math.inf

    def is_crowded(self, now: float, seconds: float) -> bool:
        """Return whether there are more stations than places.

        Args:
            now: seconds of a steady clock.
            seconds: looked back so long for one that found no room, or took another's place that
                was not silent.
        """
        with self._lock:
            return now - self._crowded < seconds

    def note_fused(self, station_ids: Iterable[int], now: float) -> None:
        """Remember which stations' sweeps were of use.

        Args:
            station_ids: those of a frame.
            now: seconds of a steady clock.
        """
        with self._lock:
            for station in station_ids:
                record = self._tracked.get(station)
                if record is not None:
                    if not self._works(record, now):
                        record.works_since = now
                    record.fused = now
            self._frames.append(now)

    def standing(self, record: PeerRecord | None, now: float) -> Standing:
        """Return what a station has shown of late; one not tracked is a newcomer."""
        if record is None:
            return Standing.NEWCOMER
        with self._lock:
            return self._standing(record, now)

    def standing_of(self, station_id: int, now: float) -> Standing:
        """Return what the station of an id has shown of late; see `standing`."""
        return self.standing(self.find(station_id), now)

    def works_since(self, station_id: int) -> float:
        """Return since when a station is fused without a gap, seconds; infinite: it is not."""
        record = self.find(station_id)
        return math.inf if record is None else record.works_since

    def waits_since(self, station_id: int) -> float:
        """Return when a station was fused last, or joined, seconds; one not tracked comes last."""
        record = self.find(station_id)
        return math.inf if record is None else max(record.fused, record.joined)

    def _standing(self, record: PeerRecord, now: float) -> Standing:
        if record.verified:
            return Standing.VERIFIED
        if not self._works(record, now):
            return Standing.NEWCOMER
        is_old = record.fused - record.works_since >= ESTABLISHED_AFTER
        return Standing.ESTABLISHED if is_old else Standing.WORKING

    def _works(self, record: PeerRecord, now: float) -> bool:
        """Whether a peer was fused of late, by the clock or by a slow machine's frames."""
        if now - record.fused <= self.limits.silent_after:
            return True
        return len(self._frames) == _FRAMES and record.fused >= self._frames[0]

    def _leaving(self, station_id: int, now: float, verified: bool) -> list[PeerRecord]:
        """Return who makes room for a new station; nobody where there is some.

        Raises:
            PeerRefusedError: where there is none.
        """
        others = [r for r in self._tracked.values() if r.station_id != self.own_station]
        if station_id == self.own_station or len(others) < self.limits.max_peers:
            return []
        silent = [record for record in others if self._is_silent(record, now)]
        if silent:
            return silent
        rank = Standing.VERIFIED if verified else Standing.NEWCOMER
        weaker = [record for record in others if self._yields(record, rank, now)]
        if not weaker:
            self._crowded = now
            raise PeerRefusedError(
                "too_many_stations",
                f"station {station_id} is one more than the {self.limits.max_peers} listened to",
            )
        return [min(weaker, key=lambda record: (self._standing(record, now), record.joined))]

    def _is_silent(self, record: PeerRecord, now: float) -> bool:
        return record.silence(now) > self.limits.silent_after

    def _yields(self, record: PeerRecord, rank: Standing, now: float) -> bool:
        """Whether a peer makes room for a new one: it ranks lower, or had its chance."""
        standing = self._standing(record, now)
        had_chance = standing is Standing.NEWCOMER and now - record.joined > PROBATION
        return standing < rank or had_chance

    def _replace(self, leaving: list[PeerRecord], record: PeerRecord, now: float) -> None:
        """Give a record the place of others."""
        for each in leaving:
            del self._tracked[each.station_id]
            if not self._is_silent(each, now):
                self._crowded = now
        self._tracked[record.station_id] = record

    def _tell(self, gone: Iterable[PeerRecord]) -> None:
        """Tell of stations that were forgotten; without the lock, since others' may be taken."""
        for record in gone:
            self.on_forgotten(record.station_id)
