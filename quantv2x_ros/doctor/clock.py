# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks the kernel whether somebody keeps its clock in time."""

from __future__ import annotations

import ctypes
import struct
import sys
from dataclasses import dataclass

# struct timex of adjtimex(2) up to its status, on 64-bit Linux: modes, padding, offset, frequency,
# maximum error, estimated error [µs], status.
_TIMEX = struct.Struct("@I4xlllli")
_SIZE = 256  # more than the whole structure
_UNSYNCHRONISED = 0x40  # STA_UNSYNC


@dataclass(frozen=True)
class ClockState:
    """What the kernel knows of its clock.

    Attributes:
        synchronised: whether a daemon (NTP, PTP) disciplines it.
        max_error_ms: how far it may be off, milliseconds.
    """

    synchronised: bool
    max_error_ms: float


def clock_state() -> ClockState | None:
    """Return the state of the clock; None where the system does not tell."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    buffer = ctypes.create_string_buffer(_SIZE)  # modes 0: read only
    try:
        result = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (AttributeError, OSError):
        return None
    if result < 0:
        return None
    _, _, _, max_error, _, status = _TIMEX.unpack_from(buffer.raw)
    return ClockState(not status & _UNSYNCHRONISED, max_error / 1000.0)
