# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the channel node: those of `ChannelSettings`."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.channel_settings import DELAY_DISTRIBUTIONS, ChannelSettings
from quantv2x_ros.nodes.parameters import declare

#: Name, largest value, description; the smallest value is 0.
_NUMBERS = (
    ("delay_ms", 10_000.0, "Mean delay [ms]."),
    ("jitter_ms", 10_000.0, "Standard deviation of the delay [ms]."),
    ("loss", 1.0, "Probability that a packet of 1398 bytes is lost, independent of others."),
    ("burst_start", 1.0, "Gilbert-Elliott: probability a packet that the channel turns bad."),
    ("burst_end", 1.0, "Gilbert-Elliott: probability a packet that it turns good again."),
    ("burst_loss", 1.0, "Gilbert-Elliott: probability of loss while it is bad."),
    ("reorder", 1.0, "Probability that a message is held back."),
    ("reorder_ms", 10_000.0, "How long a message is held back [ms]."),
    ("duplicate", 1.0, "Probability that a message arrives twice."),
    ("corrupt", 1.0, "Probability that a bit flips in a packet."),
    ("bit_rate_mbps", 1000.0, "Rate of the shared channel, such as 6 or 27 [Mbit/s]; 0: no limit."),
    ("longest_wait_ms", 10_000.0, "A packet that would wait longer for the air is given up [ms]."),
)


def declare_channel(node: Node) -> ChannelSettings:
    """Declare the parameters and return their values.

    Raises:
        ValueError: for a value that is not allowed.
    """
    defaults = ChannelSettings()
    numbers = {
        name: declare(node, name, float(getattr(defaults, name)), text, low=0.0, high=high)
        for name, high, text in _NUMBERS
    }
    distribution = declare(
        node,
        "delay_distribution",
        defaults.delay_distribution,
        "Distribution of the delay.",
        choices=DELAY_DISTRIBUTIONS,
    )
    others = declare(
        node,
        "other_stations",
        defaults.other_stations,
        "Further stations that share the channel, 10 frames of 400 bytes a second each.",
        low=0,
        high=1000,
    )
    return ChannelSettings(delay_distribution=distribution, other_stations=others, **numbers)
