# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides which sweeps are fused together, and when.

Sweeps of the ego and its peers arrive in any order. For every sweep of the ego the collector picks
each peer's sweep that is closest in time, asks for the pyramids that are missing, waits a bounded
time for peers that are due, and then says: fuse these. It holds no engines and no clock, so that
every decision can be tested by itself. It is not thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from quantv2x_ros.core.fusion.fusion_steps import (
    ComputePyramid,
    Fuse,
    FusedPeer,
    HeldSweep,
    Pyramid,
    SweepRefusedError,
    Wait,
)
from quantv2x_ros.core.fusion.places import Places
from quantv2x_ros.core.peers.reach import OutOfReachError, Reach
from quantv2x_ros.core.transport.sweep import AgentSweep

#: Sweeps kept for a peer: the one that fits the ego's current sweep and those that came after it.
SWEEPS_PER_PEER = 8
#: Stations listened to at a time; a flood of invented stations cannot grow memory past this.
MAX_STATIONS = 64
#: What is remembered of a peer is forgotten when nothing of it has come for so long, seconds.
FORGET_AFTER = 5.0
#: Peers' pyramids are computed ahead of the ego's sweep while the ego was heard this recently.
EGO_SILENCE = 1.0


@dataclass
class SweepCollector(Generic[Pyramid]):
    """See the module.

    Attributes:
        own_station: station id of the ego.
        max_agents: agents in one fusion, the ego included.
        peer_timeout: oldest peer sweep that counts, seconds before the ego's sweep.
        peer_wait: longest wait for a peer's sweep that is due, seconds after the ego's arrived.
        reach: how far away peers may be; None: anywhere.
        superseded: sweeps that were never used, since a newer one came first.
        places: who takes part where there are more than can.
    """

    own_station: int
    max_agents: int
    peer_timeout: float
    peer_wait: float
    reach: Reach | None = None
    superseded: int = 0
    _ego: HeldSweep[Pyramid] | None = None
    _next_ego: HeldSweep[Pyramid] | None = None
    _ego_stamp_ns: int | None = None
    _ego_heard: float = -np.inf
    _period_ns: int = 0
    _peers: dict[int, FusedPeer[Pyramid]] = field(default_factory=dict)
    _expected: set[int] = field(default_factory=set)
    _fused_ns: int | None = None
    places: Places[Pyramid] = field(init=False)

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if self.max_agents < 1:
            raise ValueError(f"max_agents: got {self.max_agents}, expected at least 1")
        if not self.peer_timeout > 0:
            raise ValueError(f"peer_timeout: got {self.peer_timeout} s, expected a positive time")
        if not self.peer_wait >= 0:
            raise ValueError(f"peer_wait: got {self.peer_wait} s, expected 0 or more")
        self.places = Places(self.max_agents - 1)

    @property
    def has_ego(self) -> bool:
        """True while a sweep of the ego waits to be fused."""
        return self._ego is not None

    @property
    def _timeout_ns(self) -> int:
        return round(self.peer_timeout * 1e9)

    def reset(self) -> None:
        """Forget every sweep, as after a jump in time."""
        self._ego = self._next_ego = None
        self._ego_stamp_ns = None
        self._ego_heard = -np.inf
        self._period_ns = 0
        self._fused_ns = None
        self._peers.clear()
        self._expected.clear()
        self.places.reset()

    def forget(self, station_id: int) -> None:
        """Forget all of a peer, as of one that made room for another station."""
        self._peers.pop(station_id, None)

    def expect(self, station_id: int) -> None:
        """Wait once for a station that has announced itself, though no sweep of it has come."""
        record = self._peers.get(station_id)
        if (record is None or not record.held) and len(self._expected) < MAX_STATIONS:
            self._expected.add(station_id)

    def offer_ego(self, sweep: AgentSweep, now: float) -> bool:
        """Take the ego's newest sweep; an older one that nothing was done for is superseded.

        One that is worked on stays: else a computer too slow for the sensor would begin every
        sweep and finish none.

        Args:
            sweep: the ego's.
            now: seconds of the steady clock; the wait for peers begins here.

        Returns:
            True where time has jumped back, so that everything older was forgotten.

        Raises:
            SweepRefusedError: for a sweep that is not newer, unless time has jumped back.
        """
        jumped = False
        if self._ego_stamp_ns is not None:
            step = sweep.stamp_ns - self._ego_stamp_ns
            if step < -self._timeout_ns:
                self.reset()
                jumped = True
            elif step <= 0:
                raise SweepRefusedError(
                    "duplicate" if step == 0 else "out_of_order",
                    f"own sweep is {-step / 1e9:.3f} s older than the one before it",
                )
            else:
                self._period_ns = min(step, self._timeout_ns, sweep.period_ns or step)
        if self._ego is None or not self._ego.begun:
            self.superseded += self._ego is not None
            self._ego = HeldSweep(sweep, deadline=now + self.peer_wait)
        else:
            self.superseded += self._next_ego is not None
            self._next_ego = HeldSweep(sweep, deadline=now + self.peer_wait)
        self._ego_stamp_ns = sweep.stamp_ns
        self._ego_heard = now
        return jumped

    def offer_peer(self, sweep: AgentSweep) -> None:
        """Take a peer's sweep.

        Raises:
            SweepRefusedError: for one that is too old, known, or of one station too many.
        """
        # What is worked on counts, not what waits behind it: a slow computer still cooperates.
        ego_ns = self._ego.sweep.stamp_ns if self._ego is not None else self._ego_stamp_ns
        record = self._peers.get(sweep.station_id)
        held = [] if record is None else record.held
        if ego_ns is not None:
            age = ego_ns - sweep.stamp_ns
            if age > self._timeout_ns:
                raise SweepRefusedError(
                    "late",
                    f"sweep of station {sweep.station_id} is {age / 1e9:.3f} s old, allowed are "
                    f"{self.peer_timeout:.3f} s",
                )
            newest = (self._ego_stamp_ns or 0) + round(EGO_SILENCE * 1e9)  # else its clock jumped
            oldest = ego_ns - self._timeout_ns
            held = [h for h in held if oldest <= h.sweep.stamp_ns <= newest]
        if any(other.sweep.stamp_ns == sweep.stamp_ns for other in held):
            raise SweepRefusedError(
                "duplicate", f"second sweep of station {sweep.station_id} at {sweep.stamp_ns} ns"
            )
        record = self._record(sweep.station_id) if record is None else record
        added = HeldSweep(sweep, peer=record)
        held = sorted([*held, added], key=lambda other: other.sweep.stamp_ns)
        self.superseded += sum(other.pyramid is None for other in held[:-SWEEPS_PER_PEER])
        record.held = held[-SWEEPS_PER_PEER:]
        record.newest_ns = held[-1].sweep.stamp_ns
        self._expected.discard(sweep.station_id)

    def _record(self, station_id: int) -> FusedPeer[Pyramid]:
        """Begin to remember a peer, in the place of a silent one where there is no room.

        Raises:
            SweepRefusedError: where none is silent.
        """
        if len(self._peers) >= MAX_STATIONS:
            for silent in [name for name, record in self._peers.items() if not record.held]:
                del self._peers[silent]
        if len(self._peers) >= MAX_STATIONS:
            raise SweepRefusedError(
                "too_many_stations",
                f"station {station_id} is one more than the {MAX_STATIONS} listened to",
            )
        return self._peers.setdefault(station_id, FusedPeer())

    def next_step(
        self, now: float, may_fuse: bool = True, may_prepare: bool = True
    ) -> ComputePyramid[Pyramid] | Fuse[Pyramid] | Wait:
        """Return what to do next.

        Several threads may ask and compute pyramids at the same time; none is asked for twice.

        Args:
            now: seconds of the steady clock.
            may_fuse: False while another thread fuses: then there are pyramids only.
            may_prepare: False while the ego's next sweep is being encoded: what is computed ahead
                of it would only delay it.
        """
        ego = self._ego
        if ego is None:
            return self._ahead(now) if may_prepare else Wait(None)
        if not ego.begun:
            return _begin(ego)
        candidates, expired = self._candidates(ego.sweep)
        choice = self.places.choose(candidates, now)
        chosen = choice.chosen
        due = [held for held in chosen if self._is_due(held.sweep, ego.sweep)]
        missing = [held for held in chosen if not held.begun]
        timely = [held for held in missing if held not in due]
        if timely:
            return _begin(timely[0])
        if (due or (self._expected and self.max_agents > 1)) and now < ego.deadline:
            return Wait(ego.deadline - now)
        if missing:
            return _begin(missing[0])
        if not may_fuse or any(held.pyramid is None for held in (ego, *chosen)):
            return Wait(None)  # for what other threads are at
        self._expected.clear()
        self._forget_silent([station for station, _ in expired], ego.sweep.stamp_ns)
        for held in candidates:
            self._forget_older(held)
        self._ego, self._next_ego = self._next_ego, None
        self.places.next_frame(self._is_late(ego.sweep))
        return Fuse(ego, tuple(chosen), expired, _ids(choice.over_limit), _ids(choice.held_back))

    def _forget_silent(self, expired: list[int], now_ns: int) -> None:
        """Drop the sweeps of peers that have fallen silent; later all that is known of them."""
        for station in expired:
            self._peers[station].held = []
        for station, record in list(self._peers.items()):
            if not record.held and now_ns - record.newest_ns > FORGET_AFTER * 1e9:
                del self._peers[station]

    def _forget_older(self, best: HeldSweep[Pyramid]) -> None:
        """Drop a peer's sweeps before the one that fits the ego's: none fits a later one better."""
        record = best.peer
        if record is not None:
            first = record.held.index(best)
            self.superseded += sum(held.pyramid is None for held in record.held[:first])
            record.held = record.held[first:]

    def _ahead(self, now: float) -> ComputePyramid[Pyramid] | Wait:
        """While the ego has nothing to fuse, prepare the newest sweeps of peers it knows."""
        if self.max_agents > 1 and now - self._ego_heard <= EGO_SILENCE:
            newest = [record.held[-1] for record in self._peers.values() if record.held]
            for held in self.places.known(newest, now):
                if not held.begun:
                    return _begin(held)
        return Wait(None)

    def _candidates(
        self, ego: AgentSweep
    ) -> tuple[list[HeldSweep[Pyramid]], tuple[tuple[int, float], ...]]:
        """Return each live peer's sweep closest in time, nearest peer first, and silent peers."""
        live, expired = [], []
        for station, record in self._peers.items():
            if not record.held:
                continue
            best = min(record.held, key=lambda held: abs(held.sweep.stamp_ns - ego.stamp_ns))
            age = ego.stamp_ns - best.sweep.stamp_ns
            if abs(age) <= self._timeout_ns:
                if self._is_near(best.sweep, ego):
                    live.append(best)
            elif age > 0:
                expired.append((station, age / 1e9))
        position = ego.pose[:3, 3]
        live.sort(
            key=lambda held: (
                float(np.linalg.norm(held.sweep.pose[:3, 3] - position)),
                held.sweep.station_id,
            )
        )
        return live, tuple(expired)

    def _is_near(self, sweep: AgentSweep, ego: AgentSweep) -> bool:
        """Whether a peer's map can be of use; messages of one that cannot be are refused, too."""
        if self.reach is None:
            return True
        try:
            self.reach.check(sweep.station_id, sweep.pose, ego.pose)
        except OutOfReachError:
            return False
        return True

    def _is_late(self, ego: AgentSweep) -> bool:
        """Whether sweeps of the ego's sensor were left out before this one; it is fused now."""
        before, self._fused_ns = self._fused_ns, ego.stamp_ns
        if before is None or ego.period_ns is None:
            return False
        return 2 * (ego.stamp_ns - before) > 3 * ego.period_ns

    def _is_due(self, sweep: AgentSweep, ego: AgentSweep) -> bool:
        """Whether a peer's sweep is so old that its next one should be here any moment."""
        return 2 * (ego.stamp_ns - sweep.stamp_ns) > self._period_ns > 0


def _begin(held: HeldSweep[Pyramid]) -> ComputePyramid[Pyramid]:
    held.begun = True
    return ComputePyramid(held)


def _ids(sweeps: list[HeldSweep[Pyramid]]) -> tuple[int, ...]:
    return tuple(held.sweep.station_id for held in sweeps)
