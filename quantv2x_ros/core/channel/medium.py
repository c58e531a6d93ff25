# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The air that stations share: one frame at a time, at the channel's bit rate.

Modelled after a 10 MHz channel of IEEE 802.11-2020 as ETSI EN 302 663 uses it: broadcast frames
are sent once, after a fixed gap and a random number of slots; a frame that has to wait for the air
contends with others that wait, and two that draw the same slot collide.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

#: Preamble and signal field of a frame, seconds (10 MHz OFDM).
PREAMBLE = 40e-6
#: Gap before a frame of the access category "best effort", seconds: SIFS 32 us + 6 slots.
ARBITRATION_GAP = 32e-6 + 6 * 13e-6
#: A slot of the contention window, seconds.
SLOT = 13e-6
#: Slots of the contention window; broadcasts never widen it.
WINDOW_SLOTS = 16
#: MAC, LLC, GeoNetworking and BTP headers and the frame check sequence, bytes.
HEADER_BYTES = 82


@dataclass(frozen=True)
class Background:
    """Other stations on the channel, which are not heard but take their share of the air.

    Attributes:
        stations: how many.
        period: mean time between a station's frames, seconds.
        frame_bytes: size of each frame, headers included.
    """

    stations: int = 0
    period: float = 0.1
    frame_bytes: int = 400

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if not 0 <= self.stations <= 1000:
            raise ValueError(f"stations: got {self.stations}, allowed are 0 to 1000")
        if not self.period > 0:
            raise ValueError(f"period: got {self.period} s, expected a positive time")
        if not 1 <= self.frame_bytes <= 2400:
            raise ValueError(f"frame_bytes: got {self.frame_bytes}, allowed are 1 to 2400")


class Medium:
    """Who may send when. Times are seconds of the caller's clock and must not run back."""

    def __init__(
        self, bit_rate: float, longest_wait: float, background: Background, seed: int
    ) -> None:
        """Start with a free channel.

        Args:
            bit_rate: bit rate of the channel, bit/s.
            longest_wait: a frame that would wait longer for the air is given up, seconds.
            background: other stations.
            seed: seed of the stations' phases and slots.

        Raises:
            ValueError: for a rate or wait that is not positive.
        """
        if not bit_rate > 0 or not longest_wait > 0:
            raise ValueError(
                f"bit_rate and longest_wait: got {bit_rate} bit/s and {longest_wait} s, expected "
                "positive numbers"
            )
        self._bit_rate = bit_rate
        self._longest_wait = longest_wait
        self._background = background
        self._generator = np.random.default_rng(seed)
        self._free_at = -math.inf
        self._next: list[tuple[float, int]] | None = None
        self._waiting: list[tuple[float, int]] = []

    def airtime(self, size: int) -> float:
        """Return how long a frame of ``size`` bytes takes, headers included, without its gap."""
        return PREAMBLE + 8 * size / self._bit_rate

    def send(self, sender: int, size: int, now: float, draw: float) -> tuple[float, bool] | None:
        """Send a frame.

        Args:
            sender: who; frames of one sender do not collide with each other.
            size: payload, bytes.
            now: when it is ready.
            draw: a random number in [0, 1) that decides on its slot.

        Returns:
            When its last bit is out and whether it collided; None where it was given up.
        """
        self._run_background(now)
        return self._occupy(sender, size + HEADER_BYTES, now, draw)

    def _run_background(self, now: float) -> None:
        """Let the other stations send what was due until now."""
        if not self._background.stations:
            return
        if self._next is None:
            phases = self._generator.uniform(0, self._background.period, self._background.stations)
            self._next = [(now + float(phase), -1 - n) for n, phase in enumerate(phases)]
            heapq.heapify(self._next)
        # after a pause only the last stretch can still matter
        skipped = math.floor(
            (now - self._next[0][0] - self._longest_wait) / self._background.period
        )
        if skipped > 0:
            shift = skipped * self._background.period
            self._next = [(due + shift, station) for due, station in self._next]
        while self._next[0][0] <= now:
            due, station = self._next[0]
            draw, jitter = self._generator.random(2)  # their clocks keep no step with ours
            pause = self._background.period * (0.9 + 0.2 * float(jitter))
            heapq.heapreplace(self._next, (due + pause, station))
            self._occupy(station, self._background.frame_bytes, due, float(draw))

    def _occupy(self, sender: int, size: int, now: float, draw: float) -> tuple[float, bool] | None:
        slot = int(draw * WINDOW_SLOTS)
        collided = False
        start = now
        if self._free_at > now:  # else the air is free, and nobody waits
            if self._free_at - now > self._longest_wait:
                return None
            self._waiting = [(end, who) for end, who in self._waiting if end > now]
            rivals = len({who for _, who in self._waiting if who != sender})
            # the chance that none of them draws the same slot; ``draw`` has picked the slot, its
            # fraction within the slot is as random
            fraction = draw * WINDOW_SLOTS - slot
            collided = fraction >= (1 - 1 / WINDOW_SLOTS) ** rivals
            start = self._free_at
        end = start + ARBITRATION_GAP + slot * SLOT + self.airtime(size)
        self._free_at = end
        self._waiting.append((end, sender))
        return end, collided
