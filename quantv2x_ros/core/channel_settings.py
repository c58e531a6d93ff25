# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a radio channel, as `channel_model.ChannelModel` plays it."""

from __future__ import annotations

import math
from dataclasses import dataclass

DELAY_DISTRIBUTIONS = ("constant", "uniform", "normal", "gamma")
#: Payload of one packet on the air, bytes: the GeoNetworking unit.
UNIT_BYTES = 1398
PROBABILITIES = (
    "loss",
    "burst_start",
    "burst_end",
    "burst_loss",
    "reorder",
    "duplicate",
    "corrupt",
)


class ChannelError(ValueError):
    """Settings that no channel has."""


@dataclass(frozen=True)
class ChannelSettings:
    """State of a channel. The defaults change nothing.

    Probabilities are those of one packet of `UNIT_BYTES`: a longer message travels as several, and
    is lost with any of them.

    Attributes:
        delay_ms: mean delay, milliseconds.
        jitter_ms: its standard deviation, milliseconds.
        delay_distribution: one of `DELAY_DISTRIBUTIONS`; ``normal`` is cut off at 0.
        loss: probability of loss, independent of everything.
        burst_start: Gilbert-Elliott: probability that a good channel turns bad, each packet.
        burst_end: probability that a bad one turns good, each packet.
        burst_loss: probability of loss while it is bad.
        reorder: probability that a message is held back.
        reorder_ms: for how long, milliseconds.
        duplicate: probability that a message arrives twice.
        corrupt: probability that a bit flips in a packet.
        bit_rate_mbps: rate of the shared channel, 6 or 27 Mbit/s for example; 0: no limit.
        longest_wait_ms: a packet that would wait longer for the air is given up, milliseconds.
        other_stations: further stations on the channel, each with 10 frames of 400 bytes a second.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    delay_distribution: str = "gamma"
    loss: float = 0.0
    burst_start: float = 0.0
    burst_end: float = 1.0
    burst_loss: float = 1.0
    reorder: float = 0.0
    reorder_ms: float = 50.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    bit_rate_mbps: float = 0.0
    longest_wait_ms: float = 100.0
    other_stations: int = 0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ChannelError: naming the setting, its value and what is allowed.
        """
        for name in PROBABILITIES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ChannelError(f"{name}: got {getattr(self, name)}, allowed are 0 to 1")
        for name in ("delay_ms", "jitter_ms", "reorder_ms", "bit_rate_mbps"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ChannelError(f"{name}: got {getattr(self, name)}, allowed are 0 or more")
        if not 0.0 < self.longest_wait_ms < math.inf:
            raise ChannelError(
                f"longest_wait_ms: got {self.longest_wait_ms}, expected a positive time"
            )
        if self.delay_distribution not in DELAY_DISTRIBUTIONS:
            raise ChannelError(
                f"delay_distribution: got {self.delay_distribution!r}, allowed are "
                f"{', '.join(DELAY_DISTRIBUTIONS)}"
            )
        if self.burst_start > 0 and self.burst_end == 0:
            raise ChannelError("burst_end: 0 would make the first burst last for ever")
        if not 0 <= self.other_stations <= 1000:
            raise ChannelError(f"other_stations: got {self.other_stations}, allowed are 0 to 1000")

    @property
    def mean_burst_loss(self) -> float:
        """Long-run share of packets lost in bursts: the bad state's share times its loss."""
        if self.burst_start == 0.0:
            return 0.0
        return self.burst_loss * self.burst_start / (self.burst_start + self.burst_end)
