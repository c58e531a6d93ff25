# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which peers take part in a frame: bounded, whoever asks for a place.

Each peer costs a pyramid and its part of fusion, and without signatures anybody can be many peers.
Peers that have shown to be of use come first. Newcomers get what is left, a bounded number of
turns; one that comes alone is always welcome. Where the ego cannot hold its rate, peers that came
lately take turns like newcomers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol

from quantv2x_ros.core.fusion.fusion_steps import HeldSweep, Pyramid
from quantv2x_ros.core.peers.peers import Standing

#: Turns of newcomers a frame: an agent more in one frame of four.
TURNS_A_FRAME = 0.25
#: Unsigned peers that have a place in every frame even where the ego cannot hold its rate.
CROWD = 2
#: The ego is behind once so many of the last few frames are late, until none of the last many is.
_LATE, _FEW, _MANY = 3, 6, 30


class Standings(Protocol):
    """Knows what stations have shown."""

    def standing_of(self, station_id: int, now: float) -> Standing:
        """Return what a station has shown of late."""

    def works_since(self, station_id: int) -> float:
        """Return since when a station is fused without a gap, seconds."""

    def waits_since(self, station_id: int) -> float:
        """Return when a station was fused last, or joined, seconds: the smallest is next."""


@dataclass(frozen=True)
class Choice(Generic[Pyramid]):
    """Who takes part.

    Attributes:
        chosen: with a place, in the order of their rank.
        over_limit: more than there are places.
        held_back: newcomers, and in a crowd late ones, whose turn has not come.
    """

    chosen: list[HeldSweep[Pyramid]]
    over_limit: list[HeldSweep[Pyramid]]
    held_back: list[HeldSweep[Pyramid]]


@dataclass
class Places(Generic[Pyramid]):
    """Gives places to peers, frame by frame.

    Attributes:
        most: places in a frame.
        standings: what stations have shown; None: all are known equally well.
    """

    most: int
    standings: Standings | None = None
    _turns: float = field(init=False)
    _guests: list[HeldSweep[Pyramid]] = field(default_factory=list, init=False)
    _late: deque[bool] = field(default_factory=lambda: deque(maxlen=_MANY), init=False)
    _behind: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Save up a turn for every place: all may come at once, as when the ego starts."""
        self._turns = float(self.most)

    def next_frame(self, late: bool) -> None:
        """Begin the next frame.

        Args:
            late: whether sweeps of the ego were left out for want of time.
        """
        self._guests.clear()
        self._turns = min(float(self.most), self._turns + TURNS_A_FRAME)
        self._late.append(late)
        if sum(list(self._late)[-_FEW:]) >= _LATE:
            self._behind = True
        elif not any(self._late) and len(self._late) == _MANY:
            self._behind = False

    def reset(self) -> None:
        """Forget the frame that is worked on."""
        self._guests.clear()

    def known(self, candidates: list[HeldSweep[Pyramid]], now: float) -> list[HeldSweep[Pyramid]]:
        """Return those that have a place without a turn.

        Args:
            candidates: see `choose`.
            now: seconds of a steady clock.
        """
        return self._divide(candidates, now)[0][: self.most]

    def choose(self, candidates: list[HeldSweep[Pyramid]], now: float) -> Choice[Pyramid]:
        """Return who takes part in the current frame; a turn once given stays for this frame.

        Args:
            candidates: one sweep of each peer, in the order of preference among equals.
            now: seconds of a steady clock.
        """
        known, others = self._divide(candidates, now)
        chosen, over_limit = known[: self.most], known[self.most :]
        waiting = {held.sweep.station_id: held for held in others}
        guests = []
        for held in self._guests[: self.most - len(chosen)]:
            newest = waiting.pop(held.sweep.station_id, None)
            if newest is not None:
                guests.append(held if held.begun else newest)
        is_scarce = self._turns + 1 < len(waiting)
        for station in sorted(waiting, key=self._waits_since) if is_scarce else list(waiting):
            is_alone = not chosen and not guests
            if len(chosen) + len(guests) >= self.most or not self._take_turn(is_alone):
                break
            guests.append(waiting.pop(station))
        self._guests = guests
        left = list(waiting.values())
        if len(chosen) + len(guests) >= self.most:
            return Choice([*chosen, *guests], [*over_limit, *left], [])
        return Choice([*chosen, *guests], over_limit, left)

    def _divide(
        self, candidates: list[HeldSweep[Pyramid]], now: float
    ) -> tuple[list[HeldSweep[Pyramid]], list[HeldSweep[Pyramid]]]:
        """Return who has a place of its own, in the order of rank, and who takes turns."""
        standing = {
            held.sweep.station_id: self._standing(held.sweep.station_id, now) for held in candidates
        }
        ranked = sorted(candidates, key=lambda held: self._rank(held, standing))
        known = [h for h in ranked if standing[h.sweep.station_id] > Standing.NEWCOMER]
        others = [h for h in ranked if standing[h.sweep.station_id] is Standing.NEWCOMER]
        if self._behind:
            signed = [h for h in known if standing[h.sweep.station_id] is Standing.VERIFIED]
            unsigned = known[len(signed) :]
            old = sum(standing[h.sweep.station_id] is Standing.ESTABLISHED for h in unsigned)
            crowd = min(old, CROWD) or CROWD
            known, others = [*signed, *unsigned[:crowd]], [*unsigned[crowd:], *others]
        return known, others

    def _rank(
        self, held: HeldSweep[Pyramid], standing: Mapping[int, Standing]
    ) -> tuple[int, float]:
        """The smallest comes first; equal ones in the order of preference."""
        station = held.sweep.station_id
        if self.standings is None or standing[station] is not Standing.WORKING:
            return -standing[station], 0.0
        return -standing[station], self.standings.works_since(station)  # else the newest push out

    def _standing(self, station_id: int, now: float) -> Standing:
        if self.standings is None:
            return Standing.VERIFIED
        return self.standings.standing_of(station_id, now)

    def _waits_since(self, station_id: int) -> float:
        return 0.0 if self.standings is None else self.standings.waits_since(station_id)

    def _take_turn(self, is_free: bool) -> bool:
        if is_free:
            return True
        if self._turns < 1.0:
            return False
        self._turns -= 1.0
        return True
