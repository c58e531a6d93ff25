# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `collector.SweepCollector` holds, and the steps that it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.consistency import ConsistencySettings, PeerConsistency
from quantv2x_ros.core.fusion.occupancy_tracks import OccupancyTracks
from quantv2x_ros.core.fusion.pose_alignment import Alignment
from quantv2x_ros.core.transport.sweep import AgentSweep

Pyramid = TypeVar("Pyramid")


class SweepRefusedError(ValueError):
    """A sweep that cannot take part.

    Attributes:
        reason: ``late``, ``duplicate``, ``out_of_order`` or ``too_many_stations``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(eq=False)
class HeldSweep(Generic[Pyramid]):
    """A sweep and, once it is computed, its pyramid.

    Attributes:
        sweep: the sweep.
        pyramid: None until it is computed.
        begun: whether its computation has been asked for.
        deadline: deadline of the ego's sweep: longest wait for peers, seconds of the steady clock.
        peer: what is remembered of its station; None for the ego.
    """

    sweep: AgentSweep
    pyramid: Pyramid | None = None
    begun: bool = False
    deadline: float = 0.0
    peer: FusedPeer[Pyramid] | None = None


@dataclass(eq=False)
class FusedPeer(Generic[Pyramid]):
    """All that the fusing side of a receiver remembers of one peer.

    Attributes:
        held: its sweeps that may be fused, oldest first.
        newest_ns: time of its newest sweep, nanoseconds.
        tracks: motion in its maps; None until it is watched.
        consistency: how its maps agree with the ego's.
        correction: (4, 4) of its pose, in the map; None where there is none.
        alignment: what the newest comparison of poses found; None before one.
    """

    held: list[HeldSweep[Pyramid]] = field(default_factory=list)
    newest_ns: int = 0
    tracks: OccupancyTracks | None = None
    consistency: PeerConsistency = field(
        default_factory=lambda: PeerConsistency(ConsistencySettings())
    )
    correction: npt.NDArray[np.float64] | None = None
    alignment: Alignment | None = None


@dataclass(frozen=True)
class ComputePyramid(Generic[Pyramid]):
    """Compute the pyramid of this sweep and store it in it."""

    held: HeldSweep[Pyramid]


@dataclass(frozen=True)
class Fuse(Generic[Pyramid]):
    """Fuse these, all of which have their pyramid.

    Attributes:
        ego: the ego's sweep; it is not offered again.
        peers: the peers' sweeps, nearest first.
        expired: station and age [s] of every peer that was forgotten for its silence.
        over_limit: stations left out because max_agents was reached.
        held_back: newcomers left out since their turn has not come; see `places`.
    """

    ego: HeldSweep[Pyramid]
    peers: tuple[HeldSweep[Pyramid], ...]
    expired: tuple[tuple[int, float], ...]
    over_limit: tuple[int, ...]
    held_back: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Nothing to do until a sweep arrives or a pyramid is ready, or this many seconds are over.

    Attributes:
        seconds: None for no limit.
    """

    seconds: float | None
