# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuses a station's messages that were sent before: by sequence, stamp and tile."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

#: Sweeps of a station that are told apart; older ones are refused.
WINDOW_SWEEPS = 32
#: Sequence numbers wrap after 32 bits.
SEQUENCES = 2**32


class ReplayError(ValueError):
    """A message that cannot be new.

    Attributes:
        reason: ``replayed`` or ``stale``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass
class _Sweep:
    sequence: int
    tiles: set[int] = field(default_factory=set)


class ReplayGuard:
    """What one station has sent of late.

    Time tells replays: a station's stamps grow, so a recording of it can only repeat a stamp or
    fall behind. Within the last `WINDOW_SWEEPS` sweeps and ``window`` seconds a sweep may come
    late (its tiles overtake each other), but each tile once, and under its stamp's own sequence
    number. A sender that starts anew counts from 0 again; its stamps go on growing.
    """

    def __init__(self, window: float) -> None:
        """Know nothing yet.

        Args:
            window: how far a sweep may lie behind the station's newest, seconds.

        Raises:
            ValueError: for a window that is not positive.
        """
        if not window > 0:
            raise ValueError(f"window: got {window} s, expected a positive time")
        self._window_ns = round(window * 1e9)
        self._sweeps: OrderedDict[int, _Sweep] = OrderedDict()
        self._newest_ns: int | None = None
        self._floor_ns: int | None = None

    def check(self, stamp_ns: int, sequence: int, tile: int) -> None:
        """Check that a message is new; this changes nothing.

        Args:
            stamp_ns: time of its sweep.
            sequence: number of its sweep.
            tile: number of the tile.

        Raises:
            ReplayError: if it was sent before, or is too old to tell.
        """
        sweep = self._sweeps.get(stamp_ns)
        if sweep is not None:
            if sweep.sequence != sequence:
                raise ReplayError(
                    "replayed",
                    f"sweep {sequence} has the stamp of sweep {sweep.sequence}, {stamp_ns} ns",
                )
            if tile in sweep.tiles:
                raise ReplayError("replayed", f"tile {tile} of sweep {sequence} came before")
            return
        self._check_place(stamp_ns, sequence)

    def admit(self, stamp_ns: int, sequence: int, tile: int) -> None:
        """Note a message, whose origin and content must have been checked before.

        Args:
            stamp_ns: time of its sweep.
            sequence: number of its sweep.
            tile: number of the tile.

        Raises:
            ReplayError: see `check`. It changes nothing then.
        """
        self.check(stamp_ns, sequence, tile)
        sweep = self._sweeps.get(stamp_ns)
        if sweep is not None:
            sweep.tiles.add(tile)
            return
        self._sweeps[stamp_ns] = _Sweep(sequence, {tile})
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns = stamp_ns
        while len(self._sweeps) > WINDOW_SWEEPS:
            oldest = min(self._sweeps)
            del self._sweeps[oldest]
            self._floor_ns = oldest

    def _check_place(self, stamp_ns: int, sequence: int) -> None:
        """Check a sweep that is not known yet against those that are."""
        newest = self._newest_ns
        if newest is None or stamp_ns > newest:
            return
        behind = newest - stamp_ns
        if behind > self._window_ns or (self._floor_ns is not None and stamp_ns <= self._floor_ns):
            raise ReplayError(
                "stale",
                f"sweep {sequence} is {behind / 1e9:.3f} s older than the station's newest, "
                f"allowed are {self._window_ns / 1e9:.3f} s and {WINDOW_SWEEPS} sweeps",
            )
        ahead = (sequence - self._sweeps[newest].sequence) % SEQUENCES
        if ahead < SEQUENCES // 2:  # RFC 1982: not before it
            raise ReplayError(
                "replayed",
                f"sweep {sequence} is {behind / 1e9:.3f} s older than sweep "
                f"{self._sweeps[newest].sequence}, but not before it in sequence",
            )
