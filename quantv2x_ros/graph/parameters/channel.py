# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the channel node."""

from __future__ import annotations

from dataclasses import dataclass, fields

from quantv2x_ros.core.channel.channel_model import DELAY_DISTRIBUTIONS, ChannelSettings
from quantv2x_ros.core.channel.radio import PROFILES
from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.parameter import parameter


def _probability(default: float, description: str) -> float:
    return parameter(default, description, low=0.0, high=1.0)


def _milliseconds(default: float, description: str) -> float:
    return parameter(default, description, low=0.0, high=10_000.0)


@dataclass(frozen=True)
class ChannelParameters(NodeParameters):
    """Parameters of the channel node; the defaults change nothing."""

    delay_ms: float = _milliseconds(ChannelSettings.delay_ms, "Mean delay [ms].")
    jitter_ms: float = _milliseconds(
        ChannelSettings.jitter_ms, "Standard deviation of the delay [ms]."
    )
    loss: float = _probability(
        ChannelSettings.loss,
        "Probability that a packet of 1398 bytes is lost, independent of others.",
    )
    burst_start: float = _probability(
        ChannelSettings.burst_start,
        "Gilbert-Elliott: probability a packet that the channel turns bad.",
    )
    burst_end: float = _probability(
        ChannelSettings.burst_end,
        "Gilbert-Elliott: probability a packet that it turns good again.",
    )
    burst_loss: float = _probability(
        ChannelSettings.burst_loss, "Gilbert-Elliott: probability of loss while it is bad."
    )
    reorder: float = _probability(
        ChannelSettings.reorder, "Probability that a message is held back."
    )
    reorder_ms: float = _milliseconds(
        ChannelSettings.reorder_ms, "How long a message is held back [ms]."
    )
    duplicate: float = _probability(
        ChannelSettings.duplicate, "Probability that a message arrives twice."
    )
    corrupt: float = _probability(
        ChannelSettings.corrupt, "Probability that a bit flips in a packet."
    )
    bit_rate_mbps: float = parameter(
        ChannelSettings.bit_rate_mbps,
        "Rate of the shared channel, such as 6 or 27 [Mbit/s]; 0: no limit.",
        low=0.0,
        high=1000.0,
    )
    longest_wait_ms: float = _milliseconds(
        ChannelSettings.longest_wait_ms,
        "A packet that would wait longer for the air is given up [ms].",
    )
    delay_distribution: str = parameter(
        ChannelSettings.delay_distribution,
        "Distribution of the delay.",
        choices=DELAY_DISTRIBUTIONS,
    )
    other_stations: int = parameter(
        ChannelSettings.other_stations,
        "Further stations that share the channel, 10 frames of 400 bytes a second each.",
        low=0,
        high=1000,
    )
    radio: str = parameter(
        ChannelSettings.radio,
        "Whose law holds for every sender: what breaks it is not sent. none: no law.",
        choices=tuple(PROFILES),
    )
    seed: int = parameter(0, "Seed of all random decisions.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a value out of range, or settings that no channel has.
        """
        super().__post_init__()
        _ = self.settings

    @property
    def settings(self) -> ChannelSettings:
        """Return the settings of the channel."""
        return ChannelSettings(
            **{item.name: getattr(self, item.name) for item in fields(ChannelSettings)}
        )


#: A bad channel, which config/channel.yaml shows.
BAD_CHANNEL = ChannelParameters(
    delay_ms=20.0,
    jitter_ms=8.0,
    loss=0.05,
    burst_start=0.01,
    burst_end=0.2,
    burst_loss=0.8,
    reorder=0.02,
    reorder_ms=30.0,
    duplicate=0.01,
    corrupt=0.001,
    bit_rate_mbps=6.0,
    other_stations=10,
)
