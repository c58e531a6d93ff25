# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether more sweeps come than can be worked on, and by how much."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

#: Sweeps of which the sensor's period is told.
_STEPS = 10
#: A step longer than this is no period but a pause, nanoseconds.
_PAUSE_NS = 2_000_000_000
#: Time looked back at, seconds.
_WINDOW = 5.0
#: A share of the sweeps this large is all of them.
_ALL = 0.9
#: Share of the time in work from which sweeps that are missing were lost here, and not before.
_BUSY = 0.8
#: Sweeps that may be in work, or on their way to it.
_IN_WORK = 2.0


@dataclass(frozen=True)
class OverloadState:
    """More comes than is done.

    Attributes:
        offered_hz: sweeps a second that the sensor takes.
        done_hz: sweeps a second that are worked on.
    """

    offered_hz: float
    done_hz: float

    def __str__(self) -> str:
        """Say it: how much is too much, and what to do."""
        factor = f", {self.offered_hz / self.done_hz:.1f} times too many" if self.done_hz else ""
        return (
            f"overloaded: {self.offered_hz:.1f} sweeps/s come, {self.done_hz:.1f}/s are worked on"
            f"{factor}; the newest is always next. Take other work off this computer, lower the "
            "sensor's rate, or fuse fewer peers (max_agents)"
        )


class Overload:
    """Compares what a sensor offers with what is done. One thread uses it."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._steps: deque[int] = deque(maxlen=_STEPS)
        self._came: deque[tuple[int, float]] = deque()
        self._done: deque[tuple[float, float]] = deque()
        self._begun: float | None = None

    @property
    def period_ns(self) -> int | None:
        """Time between two sweeps of the sensor, nanoseconds; None before the second.

        Sweeps that were lost make steps longer, so the shorter ones are the sensor's.
        """
        return sorted(self._steps)[len(self._steps) // 4] if self._steps else None

    def note_sweep(self, stamp_ns: int, now: float) -> None:
        """Note a sweep that came, whatever becomes of it.

        Args:
            stamp_ns: its time, nanoseconds; a step back or a pause begins anew.
            now: seconds of a steady clock.
        """
        step = stamp_ns - self._came[-1][0] if self._came else 0
        if step < 0 or step > _PAUSE_NS:
            self.reset()
        elif step > 0:
            self._steps.append(step)
        self._begun = now if self._begun is None else self._begun
        self._came.append((stamp_ns, now))
        while now - self._came[0][1] > _WINDOW:
            self._came.popleft()

    def note_done(self, now: float, seconds: float = 0.0) -> None:
        """Note a sweep that is worked on to its end.

        Args:
            now: seconds of a steady clock.
            seconds: that it took, in which no other sweep could be received.
        """
        self._done.append((now, seconds))
        while now - self._done[0][0] > 2 * _WINDOW:
            self._done.popleft()

    def state(self, now: float) -> OverloadState | None:
        """Return how much is too much; None where all is done, or it is too early to tell.

        Args:
            now: seconds of a steady clock.
        """
        if self._begun is None or now - self._begun < _WINDOW:
            return None
        (_, first), (_, last) = self._came[0], self._came[-1]
        if now - last > _WINDOW or last <= first:
            return None
        work = [seconds for when, seconds in self._done if first < when]
        offered, done = len(self._came) - 1, len(work)
        if sum(work) > _BUSY * (now - first):
            offered += self._lost()
        if offered - done < max(_IN_WORK, (1.0 - _ALL) * offered):
            return None
        return OverloadState(offered / (last - first), done / (now - first))

    def _lost(self) -> int:
        """Return how many sweeps are missing between those that came, by the sensor's period."""
        period = self.period_ns or 0
        stamps = [stamp_ns for stamp_ns, _ in self._came]
        steps = [b - a for a, b in itertools.pairwise(stamps)]
        return sum(max(0, round(step / period) - 1) for step in steps) if period else 0

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._steps.clear()
        self._came.clear()
        self._done.clear()
        self._begun = None
