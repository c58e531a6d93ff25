# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits that a node is to keep, and how bad it is that one has been exceeded for so long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class LimitError(ValueError):
    """A limit that cannot be read."""


class Level(IntEnum):
    """Severity, in the numbers of ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Breach:
    """A limit that is exceeded now.

    Attributes:
        name: name of the limit, always the same.
        text: what it is and what is allowed.
        warn_after: seconds after which it is worth a warning.
        error_after: seconds after which it is an error; infinity: never.
    """

    name: str
    text: str
    warn_after: float = 0.0
    error_after: float = math.inf

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            LimitError: for times that are not 0 or more.
        """
        if not (self.warn_after >= 0.0 and self.error_after >= 0.0):
            raise LimitError(
                f"limit {self.name}: warn_after and error_after must be 0 s or more, got "
                f"{self.warn_after} and {self.error_after}"
            )


@dataclass(frozen=True)
class Complaint:
    """A limit that is not kept, as the diagnostics report it.

    Attributes:
        level: WARN or ERROR.
        text: what is exceeded.
        seconds: time for which the limit has not been kept.
    """

    level: Level
    text: str
    seconds: float


@dataclass
class _Episode:
    breach: Breach
    since: float
    last: float


class LimitWatch:
    """Remembers since when limits are exceeded.

    A limit that is kept again for a moment only has not recovered: it goes on from where it was. In
    between nothing gets worse.
    """

    def __init__(self, clear_after: float) -> None:
        """Watch nothing yet.

        Args:
            clear_after: a limit must be kept for so long until it is forgotten, seconds.
        """
        self.clear_after = clear_after
        self._episodes: dict[str, _Episode] = {}

    def update(self, breaches: Iterable[Breach], now: float) -> list[Complaint]:
        """Take what is exceeded now; return what is to be said, the worst first.

        Args:
            breaches: one a limit at most.
            now: seconds of a steady clock, not before the last call's.
        """
        for breach in breaches:
            episode = self._episodes.setdefault(breach.name, _Episode(breach, now, now))
            episode.breach, episode.last = breach, now
        for name, episode in list(self._episodes.items()):
            if episode.last < now and now - episode.last >= self.clear_after:
                del self._episodes[name]
        complaints = [_complaint(episode) for episode in self._episodes.values()]
        told = [complaint for complaint in complaints if complaint.level is not Level.OK]
        return sorted(told, key=lambda complaint: -complaint.level)

    def clear(self) -> None:
        """Forget everything, as when the node stops working."""
        self._episodes.clear()


def _complaint(episode: _Episode) -> Complaint:
    lasted = episode.last - episode.since
    level = Level.OK
    if lasted >= episode.breach.error_after:
        level = Level.ERROR
    elif lasted >= episode.breach.warn_after:
        level = Level.WARN
    return Complaint(level, episode.breach.text, lasted)


def parse_stage_limits(text: str) -> dict[str, float]:
    """Read limits such as ``total=100; wire=20``: milliseconds by stage, none for an empty text.

    Raises:
        LimitError: naming the part that cannot be read.
    """
    limits: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, number = (item.strip() for item in part.rpartition("="))
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not name or not 0.0 < limit < math.inf:
            raise LimitError(
                f"stage limit {part!r}: expected STAGE=MILLISECONDS with a positive number, "
                "several with semicolons between"
            )
        if name in limits:
            raise LimitError(f"stage {name!r} has two limits: {limits[name]:g} and {limit:g} ms")
        limits[name] = limit
    return limits
