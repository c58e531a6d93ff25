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
    """Bounds the processor time that something takes, but never below what honest work needs.

    ``share`` of a processor, and some more at once. How much work fits into that time depends on
    the machine; so many ``sweeps`` a second pass whatever they cost.

    Attributes:
        share: seconds a second.
        burst: most seconds that are saved up; as much may be taken after a pause.
        sweeps: work that always passes, in sweeps of one station, 1/s; 0: none. Half a second of it
            is saved up.
    """

    share: float
    burst: float
    sweeps: float = 0.0
    _saved: float = field(default=0.0, init=False)
    _assured: float = field(default=0.0, init=False)
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
        if not self.sweeps >= 0:
            raise ValueError(f"sweeps: got {self.sweeps} 1/s, expected 0 or more")

    def is_left(self, now: float) -> bool:
        """Return whether time is left, or work that passes whatever it costs.

        Args:
            now: seconds of a steady clock; a time before the last one counts as the last one.
        """
        most = self.sweeps / 2
        if self._filled is None:
            self._saved, self._assured = self.burst, most
        else:
            passed = max(0.0, now - self._filled)
            self._saved = min(self.burst, self._saved + passed * self.share)
            self._assured = min(most, self._assured + passed * self.sweeps)
        self._filled = now if self._filled is None else max(now, self._filled)
        return self._saved > 0.0 or self._assured > 0.0

    def spend(self, seconds: float, sweeps: float = 0.0) -> None:
        """Book what was taken; what was too much is missing later.

        Args:
            seconds: seconds of processor time.
            sweeps: the same as work: 1 for what the whole sweep of an honest station takes.
        """
        self._saved -= seconds
        if self._assured > 0.0:
            self._assured -= sweeps
