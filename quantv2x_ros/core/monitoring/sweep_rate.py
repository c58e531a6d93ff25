# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is heard of a station: its sweeps and their bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantv2x_ros.core.monitoring.statistics import RateMeter


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
