# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The radio: its law, and a simulated channel that all stations share."""

from quantv2x_ros.core.channel.channel_model import (
    ChannelError,
    ChannelModel,
    ChannelSettings,
    Delivery,
)
from quantv2x_ros.core.channel.medium import Background, Medium
from quantv2x_ros.core.channel.pacing import Pacer
from quantv2x_ros.core.channel.radio import RadioAllowance, RadioError, RadioProfile

__all__ = [
    "Background",
    "ChannelError",
    "ChannelModel",
    "ChannelSettings",
    "Delivery",
    "Medium",
    "Pacer",
    "RadioAllowance",
    "RadioError",
    "RadioProfile",
]
