# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that several nodes have."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantv2x_ros.core.monitoring.limits import parse_stage_limits
from quantv2x_ros.core.peers.host_station import THIS_HOST
from quantv2x_ros.core.peers.peers import PeerLimits
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.data.recorded_messages import MAP_FRAME
from quantv2x_ros.graph.parameters.parameter import ParameterError, Parameters, parameter
from quantv2x_ros.inference.backends import BACKENDS

_LIMITS = PeerLimits()


@dataclass(frozen=True)
class HealthParameters(Parameters):
    """Limits of a node, and the time it may exceed them before the diagnostics say so."""

    min_rate: float = parameter(
        0.0,
        "Frames a second below which the diagnostics complain [Hz]; 0: any rate is well.",
        low=0.0,
        high=1000.0,
        live=True,
        early=True,
    )
    stage_limits: str = parameter(
        "",
        "Longest median times of stages [ms], as `total=100; wire=20`; empty: none.",
        check=parse_stage_limits,
        live=True,
        early=True,
    )
    warn_after: float = parameter(
        1.0,
        "WARN once rate or a stage is beyond its limit for so long [s].",
        low=0.0,
        high=3600.0,
        live=True,
        early=True,
    )
    error_after: float = parameter(
        5.0,
        "ERROR once it is so for so long [s].",
        low=0.0,
        high=3600.0,
        live=True,
        early=True,
    )
    clear_after: float = parameter(
        1.0,
        "OK again once all limits are kept for so long [s].",
        low=0.0,
        high=3600.0,
        live=True,
        early=True,
    )


@dataclass(frozen=True)
class NodeParameters(Parameters):
    """Parameters of every node."""

    autostart: bool = parameter(
        True,
        "Configure and activate at the start; false: wait for the lifecycle services.",
        early=True,
        by_launch=True,
    )
    diagnostics_period: float = parameter(
        0.5, "Time between diagnostics [s].", low=0.1, high=60.0, early=True
    )
    health: HealthParameters = field(default=HealthParameters())


@dataclass(frozen=True)
class StationIdParameters(Parameters):
    """Station id of a node that has one."""

    station_id: int = parameter(
        THIS_HOST,
        "ETSI StationID of this station; no two stations in reach may share one. -1: this host's "
        "own, from its machine id.",
        low=THIS_HOST,
        high=2**32 - 1,
        early=True,
        by_launch=True,
    )


@dataclass(frozen=True)
class StationParameters(StationIdParameters):
    """Station id and map frame of an encoder or fusion node."""

    map_frame: str = parameter(MAP_FRAME, "Name of the map frame that all stations share.")


@dataclass(frozen=True)
class ModelParameters(Parameters):
    """Model bundle and engine of an encoder or fusion node."""

    bundle: str = parameter(
        "",
        "Folder of a model bundle, or the name of one in engines/; empty for the default one.",
        by_launch=True,
    )
    backend: str = parameter(
        "auto",
        "Engine: auto takes tensorrt where there is an NVIDIA GPU, else openvino.",
        choices=BACKENDS,
        by_launch=True,
    )
    threads: int = parameter(
        0, "Threads of a CPU engine; 0: one a core.", low=0, high=256, by_launch=True
    )
    build_only: bool = parameter(
        False,
        "Build the engines into the cache, warm up, and end; for the first start on a machine.",
        by_launch=True,
    )

    @property
    def engine_threads(self) -> int | None:
        """Return the number of an engine's threads; None for one a core."""
        return self.threads or None


@dataclass(frozen=True)
class TrustParameters(Parameters):
    """Keys and bounds by which stations' messages are accepted."""

    clock_tolerance: float = parameter(
        ReceiverSettings.clock_tolerance,
        "How far a sweep's stamp may lie in the future by this node's clock [s].",
        low=0.0,
        high=60.0,
    )
    key_ring: str = parameter("", "Folder with STATION.pem of every trusted station; empty: none.")
    require_signature: bool = parameter(
        False, "Refuse messages that no key of the key ring has signed; needs key_ring."
    )
    max_peers: int = parameter(_LIMITS.max_peers, "Most peers tracked.", low=1, high=64)
    max_message_rate: float = parameter(
        _LIMITS.rate,
        "Messages a second that are looked at from one tracked station [1/s].",
        low=1.0,
        high=100_000.0,
    )
    newcomer_message_rate: float = parameter(
        _LIMITS.newcomer_rate,
        "Messages a second that are looked at from all untracked stations together [1/s].",
        low=1.0,
        high=100_000.0,
    )
    max_station_load: float = parameter(
        _LIMITS.load,
        "Share of a processor that one station's messages may take, once it was fused or verified.",
        low=0.001,
        high=1.0,
    )
    newcomer_load: float = parameter(
        _LIMITS.newcomer_load,
        "Share of a processor that messages of all other stations may take together.",
        low=0.001,
        high=1.0,
    )
    assured_sweep_rate: float = parameter(
        _LIMITS.sweeps,
        "Sweeps a second that max_station_load and newcomer_load never refuse, however slow the "
        "machine: of each station that was fused or verified, and of all others together [1/s].",
        low=0.1,
        high=1000.0,
    )
    replay_window: float = parameter(
        _LIMITS.replay_window,
        "How far a sweep may come behind its station's newest one [s].",
        low=0.01,
        high=60.0,
    )

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a value out of range, or signatures that no key could be found for.
        """
        super().__post_init__()
        if self.require_signature and not self.key_ring:
            raise ParameterError("require_signature is true, but key_ring names no folder of keys")

    @property
    def limits(self) -> PeerLimits:
        """Return the limits of stations' messages."""
        return PeerLimits(
            max_peers=self.max_peers,
            rate=self.max_message_rate,
            newcomer_rate=self.newcomer_message_rate,
            load=self.max_station_load,
            newcomer_load=self.newcomer_load,
            sweeps=self.assured_sweep_rate,
            replay_window=self.replay_window,
        )
