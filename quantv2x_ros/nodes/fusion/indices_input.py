# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From received ``BevIndices`` to sweeps: all checks, in the order of what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import PoseUncertaintyError, check_uncertainty
from quantv2x_ros.core.peers.clock_offset import LagMinimum, clock_offset
from quantv2x_ros.core.peers.peers import PeerRefusedError
from quantv2x_ros.core.peers.reach import OutOfReachError, Reach
from quantv2x_ros.core.peers.replay_guard import ReplayError
from quantv2x_ros.core.peers.whereabouts import SharedIdError, Whereabouts
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.assembly import AssemblyError, ReceptionError
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError
from quantv2x_ros.core.transport.reception import Reception
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.messages import tile_from_message
from quantv2x_ros.nodes.air.trust import ClockTolerance, Trust
from quantv2x_ros.nodes.common.conversions import (
    MessageRefusedError,
    nanoseconds,
    pose_from_message,
)
from quantv2x_ros.nodes.common.parameters import declare

#: What `IndicesInput.accept` raises; each has a ``reason``.
REFUSALS = (
    AssemblyError,
    MessageRefusedError,
    OutOfReachError,
    ErasureCodeError,
    PeerRefusedError,
    PoseUncertaintyError,
    ReceptionError,
    ReplayError,
    SharedIdError,
)


class IndicesInput:
    """Checks messages and puts sweeps together.

    Attributes:
        trust: who is believed.
        reception: the sweeps that wait for tiles.
    """

    def __init__(
        self,
        node: Node,
        own_station: int,
        index_format: IndexFormat,
        grid: BevGrid,
        background: npt.NDArray[np.uint8],
        on_evicted: Callable[[int], None],
        reach: Reach,
        ego_pose: Callable[[], npt.NDArray[np.float64] | None],
    ) -> None:
        """Declare the parameters.

        Args:
            node: node that declares the parameters, and whose clock counts.
            own_station: id of the own station.
            index_format: codebook and grid that all must share.
            grid: of the index maps.
            background: (planes,) uint8, codes that fill holes.
            on_evicted: called with stations that made room for others.
            reach: how far peers' maps are of use.
            ego_pose: returns the ego's newest one (4, 4), or None before its first sweep.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._node = node
        self._own_station = own_station
        self._on_evicted = on_evicted
        self._reach = reach
        self._ego_pose = ego_pose
        self._verified = False
        self._format = index_format
        self._map_frame = declare(
            node, "map_frame", "map", "Name of the map frame that all stations share."
        )
        tile_timeout = declare(
            node,
            "tile_timeout",
            ReceiverSettings.tile_timeout,
            "Longest wait for the further tiles of a sweep before it is fused with holes [s].",
            low=0.0,
            high=60.0,
            on_change=self._set_tile_timeout,
        )
        conceal = declare(
            node,
            "conceal",
            ReceiverSettings.conceal,
            "Cells that were lost are taken from the station's sweeps up to so long before, moved "
            "by its poses [s]; 0 leaves holes.",
            low=0.0,
            high=2.0,
        )
        self._declare_limits()
        self.trust = Trust(node, own_station)
        self.reception = Reception(
            index_format.frame, background, tile_timeout, own_station, grid, conceal
        )
        self._lags: dict[int, LagMinimum] = {}
        self._whereabouts = Whereabouts()

    def _set_tile_timeout(self, seconds: float) -> None:
        self.reception.tile_timeout = seconds

    def _declare_limits(self) -> None:
        self._tolerance = ClockTolerance(self._node)
        self._max_position_sigma = declare(
            self._node,
            "max_position_sigma",
            ReceiverSettings.max_position_sigma,
            "Largest standard deviation of a peer's position on the ground [m].",
            low=0.0,
            high=1000.0,
        )
        degrees = declare(
            self._node,
            "max_heading_sigma",
            ReceiverSettings.max_heading_sigma,
            "Largest standard deviation of a peer's heading [degrees].",
            low=0.0,
            high=180.0,
        )
        self._max_heading_sigma = float(np.radians(degrees))

    def accept(self, message: BevIndices) -> AgentSweep | None:
        """Take a message whose station may speak; returns the sweep that it completes, if so.

        Raises:
            ValueError: one of `REFUSALS`, with the reason by which it is counted.
        """
        latest_ns = self._tolerance.latest_ns
        tile = tile_from_message(message, self._format, self._map_frame, latest_ns, self._check)
        now = time.monotonic()
        self.trust.admit(message, self._verified, now)
        self._whereabouts.note(tile.station_id, tile.stamp_ns, tile.pose[:3, 3], now)
        for station in self.trust.take_evicted():
            self.reception.forget(station)
            self._lags.pop(station, None)
            self._whereabouts.forget(station)
            self._on_evicted(station)
        sweep = self.reception.add(tile, time.monotonic())
        if sweep is not None:
            self.note_arrival(sweep)
        return sweep

    def _check(self, message: BevIndices) -> None:
        check_uncertainty(
            message.sensor_pose.covariance,
            self._max_position_sigma,
            self._max_heading_sigma,
            f"station {message.station_id}",
        )
        station, ego = message.station_id, self._ego_pose()
        pose = pose_from_message(message.sensor_pose, f"station {station}")
        if ego is not None and station != self._own_station:
            self._reach.check(station, pose, ego)
        now, stamp_ns = time.monotonic(), nanoseconds(message.header.stamp)
        self._verified = self.trust.check(message, now)
        self._whereabouts.check(station, stamp_ns, pose[:3, 3], now)

    def note_arrival(self, sweep: AgentSweep) -> None:
        """Note how long a sweep took, to tell clock offsets; the own ones are the measure."""
        lag_ns = self._node.get_clock().now().nanoseconds - sweep.stamp_ns
        lags = self._lags.setdefault(sweep.station_id, LagMinimum())
        lags.add(lag_ns / 1e9, time.monotonic())

    def clock_offsets(self) -> Mapping[int, float]:
        """Return by how much each peer's clock seems to be behind, seconds."""
        now = time.monotonic()
        lags = {station: minimum.value(now) for station, minimum in tuple(self._lags.items())}
        own = lags.pop(self._own_station, None)
        if own is None:
            return {}
        return {s: clock_offset(lag, own) for s, lag in lags.items() if lag is not None}

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self.reception.reset()
        self.trust.reset()
        self._whereabouts.reset()
        self._lags.clear()
