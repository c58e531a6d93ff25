# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the fusion node."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantv2x_ros.core.receiver_settings import CHECKS, ReceiverSettings
from quantv2x_ros.graph.parameters.common import (
    HealthParameters,
    ModelParameters,
    NodeParameters,
    StationParameters,
    TrustParameters,
)
from quantv2x_ros.graph.parameters.parameter import parameter


@dataclass(frozen=True)
class FusionParameters(NodeParameters):
    """Parameters of the fusion node."""

    # of a sensor with 10 Hz: objects are known before the sweep after the next one is taken
    health: HealthParameters = field(
        default=HealthParameters(min_rate=1.0, stage_limits="sweep to objects=200")
    )
    station: StationParameters = field(default=StationParameters())
    model: ModelParameters = field(default=ModelParameters())
    max_agents: int = parameter(
        0,
        "Most agents fused, the ego included; the nearest count. 0: as many as the bundle allows.",
        low=0,
        high=255,
    )
    peer_timeout: float = parameter(
        ReceiverSettings.peer_timeout,
        "Oldest peer sweep that is fused, against the ego's sweep [s].",
        low=0.01,
        high=10.0,
        live=True,
    )
    peer_wait: float = parameter(
        ReceiverSettings.peer_wait,
        "Longest wait for peers' sweeps that are due, after the own one arrived [s].",
        low=0.0,
        high=60.0,
        live=True,
    )
    max_peer_distance: float = parameter(
        ReceiverSettings.max_peer_distance,
        "Peers further away are not fused, nor those whose map does not meet the own [m].",
        low=1.0,
        high=10_000.0,
        live=True,
    )
    tile_timeout: float = parameter(
        ReceiverSettings.tile_timeout,
        "Longest wait for the further tiles of a sweep before it is fused with holes [s].",
        low=0.0,
        high=60.0,
        live=True,
    )
    conceal: float = parameter(
        ReceiverSettings.conceal,
        "Cells that were lost are taken from the station's sweeps up to so long before, moved "
        "by its poses [s]; 0 leaves holes.",
        low=0.0,
        high=2.0,
    )
    track: bool = parameter(
        True,
        "Follow objects from frame to frame: ids, velocities with covariance, probability of "
        "existence.",
    )
    max_position_sigma: float = parameter(
        ReceiverSettings.max_position_sigma,
        "Largest standard deviation of a peer's position on the ground [m].",
        low=0.0,
        high=1000.0,
    )
    max_heading_sigma: float = parameter(
        ReceiverSettings.max_heading_sigma,
        "Largest standard deviation of a peer's heading [degrees].",
        low=0.0,
        high=180.0,
    )
    trust: TrustParameters = field(default=TrustParameters())
    consistency_check: str = parameter(
        ReceiverSettings.consistency_check,
        "A peer whose map contradicts the ego's: off, named in the diagnostics, or excluded.",
        choices=CHECKS,
    )
    compensate_motion: bool = parameter(
        ReceiverSettings.compensate_motion,
        "Move objects in peers' older maps on by their estimated velocity.",
    )
    join_objects: bool = parameter(
        ReceiverSettings.join_objects,
        "Publish what peers have found alone, too, in one list with what is fused. Where poses are "
        "wrong by some decimetres, fused features alone are better.",
    )
    score_threshold: float = parameter(
        -1.0,
        "Objects with a lower score are not published; -1: the bundle's threshold of each class.",
        low=-1.0,
        high=0.999,
        live=True,
    )
    align_poses: bool = parameter(
        ReceiverSettings.align_poses,
        "Correct peers' poses by what both see; costs the heads once more an agent each time.",
    )
    align_period: float = parameter(
        ReceiverSettings.align_period,
        "Time between corrections of a peer's pose; one holds until the next [s].",
        low=0.0,
        high=60.0,
    )

    @property
    def receiver(self) -> ReceiverSettings:
        """Return the settings of the receiver."""
        return ReceiverSettings(
            peer_timeout=self.peer_timeout,
            peer_wait=self.peer_wait,
            tile_timeout=self.tile_timeout,
            conceal=self.conceal,
            max_peer_distance=self.max_peer_distance,
            consistency_check=self.consistency_check,
            compensate_motion=self.compensate_motion,
            join_objects=self.join_objects,
            align_poses=self.align_poses,
            align_period=self.align_period,
            clock_tolerance=self.trust.clock_tolerance,
            max_position_sigma=self.max_position_sigma,
            max_heading_sigma=self.max_heading_sigma,
        )
