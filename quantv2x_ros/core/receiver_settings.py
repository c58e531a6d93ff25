# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a receiver accepts and does, with the defaults of fusion node and evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: What happens to a peer whose map contradicts the ego's.
CHECKS = ("off", "flag", "exclude")


class ReceiverSettingError(ValueError):
    """A setting of a receiver that is out of range."""


@dataclass(frozen=True)
class ReceiverSettings:
    """Settings of a receiver. Senders compare what they send with the defaults.

    Attributes:
        peer_timeout: oldest peer sweep that is fused, against the ego's sweep, seconds.
        peer_wait: longest wait for peers' sweeps that are due, after the own one arrived, seconds.
        tile_timeout: longest wait for the further tiles of a sweep, after its first, seconds.
        conceal: lost cells are taken from the station's sweeps up to so long before, seconds; 0
            leaves holes.
        max_peer_distance: peers further away are not fused, metres: what ITS-G5 and C-V2X reach in
            a town, and a little more than the diagonal of the default bundle's map.
        consistency_check: what happens to a peer whose map contradicts the ego's: off, flag (named
            in the diagnostics) or exclude.
        compensate_motion: whether objects in peers' older maps are moved on to now.
        join_objects: whether objects that peers have found alone are joined with what is fused.
        align_poses: whether peers' poses are corrected by the objects that both see.
        align_period: time between two corrections of a peer's pose, seconds.
        clock_tolerance: how far a stamp may lie in the future by the receiver's clock, seconds.
        max_position_sigma: largest standard deviation of a sender's position on the ground, metres.
        max_heading_sigma: largest standard deviation of a sender's heading, degrees.
    """

    peer_timeout: float = 0.5
    peer_wait: float = 0.03
    tile_timeout: float = 0.04
    conceal: float = 0.3
    max_peer_distance: float = 300.0
    consistency_check: str = "flag"
    compensate_motion: bool = True
    join_objects: bool = True
    align_poses: bool = False
    align_period: float = 1.0
    clock_tolerance: float = 0.5
    max_position_sigma: float = 2.0
    max_heading_sigma: float = 3.0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ReceiverSettingError: naming the field, its value and what is allowed.
        """
        if self.consistency_check not in CHECKS:
            raise ReceiverSettingError(
                f"consistency_check: got {self.consistency_check!r}, allowed are "
                f"{', '.join(CHECKS)}"
            )
        for name in (
            "peer_timeout",
            "peer_wait",
            "tile_timeout",
            "conceal",
            "max_peer_distance",
            "align_period",
            "clock_tolerance",
            "max_position_sigma",
            "max_heading_sigma",
        ):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise ReceiverSettingError(f"{name}: got {value}, expected a number from 0 on")
        if self.peer_timeout == 0.0:
            raise ReceiverSettingError("peer_timeout: got 0.0 s, expected a positive time")
