# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, times and their limits, as diagnostics report them."""

from quantv2x_ros.core.monitoring.byte_queue import ByteQueue
from quantv2x_ros.core.monitoring.limits import Breach, Complaint, Level, LimitError, LimitWatch
from quantv2x_ros.core.monitoring.overload import Overload, OverloadState
from quantv2x_ros.core.monitoring.statistics import Drops, RateMeter, StageTimes, SweepRate

__all__ = [
    "Breach",
    "ByteQueue",
    "Complaint",
    "Drops",
    "Level",
    "LimitError",
    "LimitWatch",
    "Overload",
    "OverloadState",
    "RateMeter",
    "StageTimes",
    "SweepRate",
]
