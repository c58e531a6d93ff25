# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `collector.SweepCollector` holds, and the steps that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

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
    """

    sweep: AgentSweep
    pyramid: Pyramid | None = None
    begun: bool = False
    deadline: float = 0.0


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
