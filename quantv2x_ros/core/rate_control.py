# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many bytes the next frame may take."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Unused bit rate is saved up for so long, seconds: a frame may be larger after smaller ones.
SAVING_TIME = 0.3


class RateError(ValueError):
    """A limit that no frame could meet."""


@dataclass
class RateController:
    """Gives each frame its budget; both limits hold, 0 lifts one.

    Attributes:
        max_bytes_per_frame: most bytes of any frame.
        max_bitrate: mean bit rate that is not exceeded, bit/s.
    """

    max_bytes_per_frame: int = 0
    max_bitrate: float = 0.0
    _saved: float = field(default=0.0, init=False)
    _filled: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Raise RateError for a negative limit."""
        if self.max_bytes_per_frame < 0:
            raise RateError(
                f"max_bytes_per_frame: got {self.max_bytes_per_frame}, expected 0 or more"
            )
        if not 0.0 <= self.max_bitrate < float("inf"):
            raise RateError(f"max_bitrate: got {self.max_bitrate} bit/s, expected 0 or more")

    def budget(self, now: float) -> int | None:
        """Bytes that a frame may take now; None for any number.

        Args:
            now: seconds of a steady clock.
        """
        limits = [self.max_bytes_per_frame] if self.max_bytes_per_frame else []
        if self.max_bitrate:
            most = self.max_bitrate / 8 * SAVING_TIME
            waited = 0.0 if self._filled is None else max(0.0, now - self._filled)
            gained = most if self._filled is None else waited * self.max_bitrate / 8
            self._saved = min(most, self._saved + gained)
            self._filled = now if self._filled is None else max(now, self._filled)
            limits.append(max(0, int(self._saved)))
        return min(limits) if limits else None

    def spend(self, sent: int) -> None:
        """Book the bytes of a frame that was sent."""
        self._saved -= sent
