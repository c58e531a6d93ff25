# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What came of a station's tiles and sweeps, and what did not."""

from __future__ import annotations

from dataclasses import dataclass

#: Sequence numbers further apart than this are no gap: the sender has started again.
_RESTART = 1000
#: Sequence numbers wrap after 32 bits.
_SEQUENCES = 2**32


@dataclass
class TileCounts:
    """Counts of one station since it was first heard.

    Attributes:
        received: tiles with indices that came in time.
        lost: those that did not, of sweeps of which something came.
        sweeps: sweeps of which something came.
        missed: sweeps of which nothing came, by the gaps in their numbers.
    """

    received: int = 0
    lost: int = 0
    sweeps: int = 0
    missed: int = 0
    _newest: int | None = None

    def open_sweep(self, sequence: int) -> None:
        """Note the first tile of a sweep, by the sender's number."""
        self.sweeps += 1
        if self._newest is None:
            self._newest = sequence
            return
        ahead = (sequence - self._newest) % _SEQUENCES
        behind = (self._newest - sequence) % _SEQUENCES
        if 0 < ahead <= _RESTART:
            self.missed += ahead - 1
            self._newest = sequence
        elif 0 < behind <= _RESTART:
            self.missed -= self.missed > 0  # it was overtaken, and counted as missed then
        else:
            self._newest = sequence

    def close_sweep(self, received: int, tile_count: int) -> None:
        """Note that a sweep is not waited for any more.

        Args:
            received: tiles with indices that came.
            tile_count: those that it has.
        """
        self.received += received
        self.lost += tile_count - received
