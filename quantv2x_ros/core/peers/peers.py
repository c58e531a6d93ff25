# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A peer: what is granted to it, what it has shown, and the one record of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

Part = TypeVar("Part")

#: Most peers that are tracked, whatever is asked for.
MAX_PEERS = 64
#: A newcomer that has not been fused after so long may be replaced by another one, seconds.
PROBATION = 1.0
#: A station that has worked for so long keeps its place before those that came later, seconds.
ESTABLISHED_AFTER = 30.0


@dataclass(frozen=True)
class PeerLimits:
    """What is granted to stations.

    Attributes:
        max_peers: stations tracked at a time, the own one not counted.
        rate: messages of a tracked station, 1/s.
        newcomer_rate: messages of all stations together that are not tracked yet, 1/s: invented
            station ids share it, however many there are.
        load: share of a processor that the messages of one station may take, which works or is
            verified.
        newcomer_load: the same of all other stations together.
        sweeps: work that neither bound refuses, however slow the machine: sweeps a second of each
            station that works or is verified, and of all others together.
        silent_after: a station that was not heard for so long makes room for others, seconds.
        forget_after: a station of which nothing came for so long is forgotten, seconds.
        replay_window: how late a sweep may come behind its station's newest, seconds.
    """

    max_peers: int = 32
    rate: float = 800.0
    newcomer_rate: float = 100.0
    load: float = 0.25
    newcomer_load: float = 0.05
    sweeps: float = 20.0
    silent_after: float = 5.0
    forget_after: float = 60.0
    replay_window: float = 1.0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if not 1 <= self.max_peers <= MAX_PEERS:
            raise ValueError(f"max_peers: got {self.max_peers}, expected 1 to {MAX_PEERS}")
        positive = ("rate", "newcomer_rate", "load", "newcomer_load", "sweeps", "silent_after")
        for name in (*positive, "replay_window"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected a positive number")
        if not self.forget_after >= self.silent_after:
            raise ValueError(
                f"forget_after: got {self.forget_after} s, expected at least silent_after, "
                f"{self.silent_after} s"
            )


class PeerRefusedError(ValueError):
    """A message of a station that is not listened to now.

    Attributes:
        reason: ``too_many_stations``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Standing(IntEnum):
    """What a station has shown so far; a lower one makes room for a higher one."""

    NEWCOMER = 0  # its messages are well formed
    WORKING = 1  # its sweeps are fused
    ESTABLISHED = 2  # they have been for long
    VERIFIED = 3  # its signature is one of the key ring


@dataclass(eq=False)
class PeerRecord:
    """All that is known of a station, dropped as a whole.

    Attributes:
        station_id: its id.
        joined: since when it is known, or tracked, seconds of a steady clock.
        met: when something came of it last, even if that was refused.
        heard: when its last accepted message came; minus infinity: none did.
        verified: whether that was signed by a known key.
        fused: when its sweeps were fused last.
        works_since: since when they have been without a gap.
        parts: what components know of it, each its own; see `PeerField`.
    """

    station_id: int
    joined: float
    met: float
    heard: float = -math.inf
    verified: bool = False
    fused: float = -math.inf
    works_since: float = math.inf
    parts: dict[PeerField[Any], Any] = field(default_factory=dict, repr=False)

    def silence(self, now: float) -> float:
        """Return how long the station has not been heard, seconds; infinite: it never was.

        Args:
            now: seconds of a steady clock.
        """
        return now - self.heard


class PeerField(Generic[Part]):
    """A component's part of every record: made at its first use, and dropped with the record."""

    def __init__(self, make: Callable[[], Part]) -> None:
        """Add the field to all records.

        Args:
            make: returns what a component knows of a station at first.
        """
        self._make = make

    def of(self, record: PeerRecord) -> Part:
        """Return a station's part, a new one where there is none yet."""
        part = self.find(record)
        if part is None:
            part = record.parts[self] = self._make()
        return part

    def find(self, record: PeerRecord | None) -> Part | None:
        """Return a station's part; None where the station or the part is not known."""
        part: Part | None = None if record is None else record.parts.get(self)
        return part
