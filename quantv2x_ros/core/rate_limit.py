# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Token buckets: how much each sender may take of a receiver's attention and time."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class TokenBucket:
    """Lets ``rate`` events a second pass, and ``burst`` at once after a pause.

    Attributes:
        rate: tokens that it gains, 1/s.
        burst: most tokens that it holds.
    """

    rate: float
    burst: float
    _tokens: float = field(default=0.0, init=False)
    _filled: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if not self.rate > 0:
            raise ValueError(f"rate: got {self.rate} 1/s, expected a positive number")
        if not self.burst >= 1:
            raise ValueError(f"burst: got {self.burst}, expected 1 or more")

    def take(self, now: float) -> bool:
        """Take a token if there is one.

        Args:
            now: seconds of a steady clock; a time before the last one counts as the last one.
        """
        if self._filled is None:
            self._tokens = self.burst
        else:
            gained = max(0.0, now - self._filled) * self.rate
            self._tokens = min(self.burst, self._tokens + gained)
        self._filled = now if self._filled is None else max(now, self._filled)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass
class LoadBudget:
    """Bounds the time that something takes: ``share`` of a processor, and some more at once.

    Attributes:
        share: seconds a second.
        burst: most seconds that are saved up; as much may be taken after a pause.
    """

    share: float
    burst: float
    _saved: float = field(default=0.0, init=False)
    _filled: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if not self.share > 0:
            raise ValueError(f"share: got {self.share}, expected a positive share")
        if not self.burst > 0:
            raise ValueError(f"burst: got {self.burst} s, expected a positive time")

    def is_left(self, now: float) -> bool:
        """Return whether time is left.

        Args:
            now: seconds of a steady clock; a time before the last one counts as the last one.
        """
        if self._filled is None:
            self._saved = self.burst
        else:
            gained = max(0.0, now - self._filled) * self.share
            self._saved = min(self.burst, self._saved + gained)
        self._filled = now if self._filled is None else max(now, self._filled)
        return self._saved > 0.0

    def spend(self, seconds: float) -> None:
        """Book time that was taken; what was too much is missing later."""
        self._saved -= seconds
