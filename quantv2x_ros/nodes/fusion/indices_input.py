# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From received packets to sweeps: all checks, in the order of what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rclpy.node import Node

from quantv2x_ros.core.fusion.peer_boxes import PeerObjects
from quantv2x_ros.core.geometry.pose import PoseUncertaintyError, check_uncertainty
from quantv2x_ros.core.peers.clock_offset import LagMinimum, clock_offset
from quantv2x_ros.core.peers.peer_ledger import PeerLedger
from quantv2x_ros.core.peers.peers import PeerField, PeerRefusedError
from quantv2x_ros.core.peers.reach import OutOfReachError
from quantv2x_ros.core.peers.replay_guard import ReplayError
from quantv2x_ros.core.peers.whereabouts import SharedIdError, Whereabouts
from quantv2x_ros.core.transport.assembly import AssemblyError, ReceptionError
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError
from quantv2x_ros.core.transport.object_packet import ObjectPacket, map_id
from quantv2x_ros.core.transport.packet import Packet, PacketError
from quantv2x_ros.core.transport.packet_format import PacketFormat
from quantv2x_ros.core.transport.packet_tiles import check_stamp, read_tile
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.graph.parameters.fusion import FusionParameters
from quantv2x_ros.inference.receiver import Receiver
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.air.trust import ClockTolerance, Trust
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

#: What `IndicesInput.accept` raises; each has a ``reason``.
REFUSALS = (
    AssemblyError,
    MessageRefusedError,
    OutOfReachError,
    ErasureCodeError,
    PacketError,
    PeerRefusedError,
    PoseUncertaintyError,
    ReceptionError,
    ReplayError,
    SharedIdError,
)


class IndicesInput:
    """Checks packets and puts sweeps together.

    Attributes:
        trust: who is believed.
        registry: the stations that are listened to, and all that is known of them.
        ledger: why they were refused.
        reception: the sweeps that wait for tiles.
    """

    def __init__(
        self,
        node: Node,
        parameters: FusionParameters,
        own_station: int,
        packet_format: PacketFormat,
        classes: Sequence[str],
        receiver: Receiver,
        trust: Trust,
        on_evicted: Callable[[int], None],
    ) -> None:
        """Have received nothing yet.

        Args:
            node: whose clock.
            parameters: what is accepted.
            own_station: id of the own station.
            packet_format: format of packets that all must share.
            classes: names of the bundle's classes, from label 1 on.
            receiver: takes the tiles of what is accepted.
            trust: whose messages are accepted.
            on_evicted: called with stations that made room for others or fell silent.
        """
        self._node = node
        self._own_station = own_station
        self._receiver = receiver
        self._verified = False
        self._format = packet_format
        self._classes = classes
        self._map_id = map_id(parameters.station.map_frame)
        self._tolerance = ClockTolerance(node, parameters.trust.clock_tolerance)
        self._max_position_sigma = parameters.max_position_sigma
        self._max_heading_sigma = float(np.radians(parameters.max_heading_sigma))
        self.trust = trust
        self.registry = trust.registry
        self.registry.on_forgotten = on_evicted
        self.ledger = PeerLedger(self.registry)
        self.reception = receiver.reception
        self._lags = PeerField(LagMinimum)
        self._whereabouts = PeerField(Whereabouts)

    def accept(self, heard: HeardPacket, packet: Packet) -> AgentSweep | None:
        """Take a packet whose station may speak; returns the sweep that it completes, if so.

        Args:
            heard: as received.
            packet: the same, read.

        Raises:
            ValueError: one of `REFUSALS`, with the reason by which it is counted.
        """
        latest_ns = self._tolerance.latest_ns
        tile = read_tile(
            packet, self._format, latest_ns, lambda _: self._check(heard), heard.frame_id
        )
        now = time.monotonic()
        record = self.trust.admit(heard, self._verified, now)
        self._whereabouts.of(record).note(tile.stamp_ns, tile.pose[:3, 3], now)
        sweep = self._receiver.take(tile, time.monotonic())
        if sweep is not None:
            self.note_arrival(sweep)
        return sweep

    def accept_objects(self, heard: HeardPacket, packet: ObjectPacket) -> None:
        """Take a packet with objects whose station may speak.

        Args:
            heard: as received.
            packet: the same, read.

        Raises:
            ValueError: one of `REFUSALS`, with the reason by which it is counted.
        """
        if packet.map_id != self._map_id:
            raise MessageRefusedError(
                "map_frame",
                f"station {packet.station_id} gives its objects in another map frame than this "
                f"station ({packet.map_id:016x}, not {self._map_id:016x}); give both the same "
                "map_frame",
            )
        check_stamp(packet, self._tolerance.latest_ns)
        self._check(heard)
        now = time.monotonic()
        record = self.trust.admit(heard, self._verified, now)
        self._whereabouts.of(record).note(packet.stamp_ns, packet.pose[:3, 3], now)
        found, velocities = packet.objects.detections(self._classes)
        self._receiver.boxes.hear(
            PeerObjects(packet.station_id, packet.stamp_ns, packet.pose, found, velocities), now
        )

    def _check(self, heard: HeardPacket) -> None:
        packet = heard.packet
        station, pose, ego = packet.station_id, packet.pose, self._receiver.ego_pose
        check_uncertainty(
            packet.covariance,
            self._max_position_sigma,
            self._max_heading_sigma,
            f"station {station}",
        )
        if ego is not None and station != self._own_station:
            self._receiver.reach.check(station, pose, ego)
        now = time.monotonic()
        self._verified = self.trust.check(heard, now)
        whereabouts = self._whereabouts.find(self.registry.find(station))
        if whereabouts is not None:
            whereabouts.check(station, packet.stamp_ns, pose[:3, 3], now)

    def note_arrival(self, sweep: AgentSweep) -> None:
        """Note how long a sweep took, to tell clock offsets; the own ones are the measure."""
        lag_ns = self._node.get_clock().now().nanoseconds - sweep.stamp_ns
        now = time.monotonic()
        self._lags.of(self.registry.meet(sweep.station_id, now)).add(lag_ns / 1e9, now)

    def clock_offsets(self) -> Mapping[int, float]:
        """Return by how much each peer's clock seems to be behind, seconds."""
        now = time.monotonic()
        found = {r.station_id: self._lags.find(r) for r in self.registry.tracked()}
        lags = {station: lags.value(now) for station, lags in found.items() if lags is not None}
        own = lags.pop(self._own_station, None)
        if own is None:
            return {}
        return {s: clock_offset(lag, own) for s, lag in lags.items() if lag is not None}

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self.registry.reset()
