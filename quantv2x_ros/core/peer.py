# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A station that is listened to, and what it has shown so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from quantv2x_ros.core.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.replay_guard import ReplayGuard


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
class Peer:
    """A tracked station.

    Attributes:
        station_id: its id.
        joined: since when it is tracked, seconds of the steady clock.
        heard: when its last accepted message came.
        guard: what it has sent of late.
        verified: whether its last accepted message was signed by a known key.
        fused: when its sweeps were fused last.
        works_since: since when they have been without a gap.
    """

    station_id: int
    joined: float
    heard: float
    guard: ReplayGuard
    bucket: TokenBucket
    budget: LoadBudget
    verified: bool = False
    fused: float = -math.inf
    works_since: float = math.inf
