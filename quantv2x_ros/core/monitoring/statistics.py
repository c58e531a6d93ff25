# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, latencies and counts of the recent past, for reports."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: Slow events have ended after so many times the time between the last two, seconds at most.
_PAUSES, _LONGEST_PAUSE = 2.5, 60.0


class RateMeter:
    """Meter of the rate of an event over the last seconds."""

    def __init__(self, window: float = 3.0) -> None:
        """Create a meter.

        Args:
            window: seconds to look back, for slow events at least to the last but one.
        """
        self._window = window
        self._times: deque[float] = deque()

    def tick(self, now: float) -> None:
        """Note one event at ``now``, seconds of a steady clock."""
        self._times.append(now)
        self._forget(now)

    def rate(self, now: float) -> float:
        """Return events per second over the window, 0.0 before the second event."""
        self._forget(now)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(now - self._times[0], 1e-9)

    def _forget(self, now: float) -> None:
        # two events are a rate also where they are further apart than the window, unless the
        # last one is so long ago that there is none any more
        while len(self._times) > 2 and now - self._times[0] > self._window:
            self._times.popleft()
        if self._times and now - self._times[-1] > self._longest_pause():
            self._times.clear()

    def _longest_pause(self) -> float:
        """Seconds without an event after which the rate is 0."""
        step = self._times[-1] - self._times[-2] if len(self._times) > 1 else 0.0
        return max(self._window, min(_PAUSES * step, _LONGEST_PAUSE))


class StageTimes:
    """Latency of named stages over the last frames."""

    def __init__(self, frames: int = 50) -> None:
        """Create an empty table.

        Args:
            frames: values to keep a stage.
        """
        self._frames = frames
        self._times: dict[str, deque[float]] = {}

    def add(self, stages: Mapping[str, float]) -> None:
        """Note one frame's latencies, milliseconds by stage."""
        for name, milliseconds in stages.items():
            self._times.setdefault(name, deque(maxlen=self._frames)).append(float(milliseconds))

    def summary(self) -> dict[str, tuple[float, float]]:
        """Return the median and the 95th percentile of every stage, milliseconds."""
        return {
            name: (float(np.percentile(times, 50)), float(np.percentile(times, 95)))
            for name, times in self._times.items()
        }


class Drops:
    """Counter of dropped messages, by reason, with the latest explanation of each.

    Attributes:
        last: the reason of the newest; empty before the first.
    """

    def __init__(self) -> None:
        """Create an empty count."""
        self._counts: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self.last = ""

    def add(self, reason: str, text: str, count: int = 1) -> bool:
        """Count some; returns True where the reason is new, so that it is worth a log line."""
        self._counts[reason] += count
        self._texts[reason] = text
        self.last = reason
        return self._counts[reason] == count

    @property
    def total(self) -> int:
        """Return the number of everything dropped."""
        return sum(self._counts.values())

    def items(self) -> list[tuple[str, int, str]]:
        """Return reason, count and latest text, most frequent first."""
        return [
            (reason, count, self._texts[reason]) for reason, count in self._counts.most_common()
        ]


@dataclass
class SweepRate:
    """Counts a station's sweeps, each of which may come as several messages.

    Attributes:
        sweeps: number of sweeps.
        payload_bytes: bytes of all sweeps' payloads.
        last_bytes: bytes of the newest sweep's payloads.
        rate: sweeps per second lately.
    """

    sweeps: int = 0
    payload_bytes: int = 0
    last_bytes: int = 0
    rate: RateMeter = field(default_factory=RateMeter)
    _sequence: int = -1

    def hear(self, sequence: int, size: int, now: float) -> None:
        """Count a message, which is a tile of a sweep.

        Args:
            sequence: sequence number of the sweep.
            size: size of the message's payload, bytes.
            now: seconds of a steady clock.
        """
        self.payload_bytes += size
        if sequence == self._sequence:
            self.last_bytes += size
            return
        self._sequence = sequence
        self.sweeps += 1
        self.last_bytes = size
        self.rate.tick(now)

    @property
    def mean_bytes(self) -> float:
        """Bytes a sweep on average."""
        return self.payload_bytes / max(1, self.sweeps)
