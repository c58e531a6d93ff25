# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated radio channel that all stations share."""

from quantv2x_ros.core.channel.channel_model import (
    ChannelError,
    ChannelModel,
    ChannelSettings,
    Delivery,
)
from quantv2x_ros.core.channel.medium import Background, Medium

__all__ = ["Background", "ChannelError", "ChannelModel", "ChannelSettings", "Delivery", "Medium"]
