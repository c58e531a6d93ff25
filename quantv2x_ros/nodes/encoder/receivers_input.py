# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The places of other stations, and so the part of the own map that they can use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from rclpy.node import Node

from quantv2x_ros.core.geometry.pose import PoseUncertaintyError, check_uncertainty
from quantv2x_ros.core.peers.peers import PeerRefusedError
from quantv2x_ros.core.peers.replay_guard import ReplayError
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.core.transport.object_packet import ObjectPacket
from quantv2x_ros.core.transport.packet import Packet, PacketError
from quantv2x_ros.core.transport.packet_format import PacketFormat
from quantv2x_ros.core.transport.packet_tiles import LEAST_WORK, check_packet, work_of
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.graph.parameters.encoder import ReceiversParameters
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.air.indices_subscription import IndicesSubscription
from quantv2x_ros.nodes.air.trust import ClockTolerance, Trust
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

#: Largest standard deviations of a receiver's position [m] and heading [rad]: three of both, in
#: quadrature and 100 m away, stay within `MARGIN` of `core.transport.receivers`.
MAX_POSITION_SIGMA = 1.5
MAX_HEADING_SIGMA = 0.02


class ReceiversInput:
    """Reads the poses in other stations' messages.

    A message is checked as fusion checks it, and not decoded. A station whose pose is too uncertain
    is sent everything: fusion may take it yet, or align it.
    """

    def __init__(
        self,
        node: Node,
        parameters: ReceiversParameters,
        own_station: int,
        bundle: ModelBundle,
        packet_format: PacketFormat,
        *,
        may_turn: bool,
    ) -> None:
        """Have heard nobody yet.

        Args:
            node: whose clock and subscription.
            parameters: what others change in what is sent, and who is heard.
            own_station: id of the own station, whose messages are passed over.
            bundle: model bundle that all stations share.
            packet_format: format of packets that all stations share.
            may_turn: whether the grid may be turned; not where an own fusion takes the maps, whose
                boxes are in the LiDAR's frame.

        Raises:
            ValueError: for a parameter or key ring that cannot be used.
        """
        self._node = node
        self._own_station = own_station
        self._format = packet_format
        self._is_wanted = parameters.interest_of_receivers
        self._turns = parameters.turn_grid
        if self._turns and not may_turn:
            raise ParameterError(
                "turn_grid: got true, but this station fuses its own maps, whose boxes are in the "
                "LiDAR's frame; leave it false, or start an encoder alone"
            )
        self._tolerance = ClockTolerance(node, parameters.trust.clock_tolerance)
        self._trust = Trust(parameters.trust, own_station)
        self._receivers = Receivers(bundle.grid, bundle.detection, self._trust.registry)
        self._turn = GridTurn(bundle.grid, bundle.detection)
        self._refused: Counter[str] = Counter()

    def listen(self) -> None:
        """Subscribe, where it is wanted."""
        if self._is_wanted or self._turns:
            self._subscription = IndicesSubscription(
                self._node,
                self._trust.may_speak,
                self._trust.spend,
                self._on_packet,
                self._refuse,
                ignored=self._own_station,
            )

    def wanted(self, pose: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_] | None:
        """Return the cells that a receiver can use, (H, W) bool; None for all.

        Args:
            pose: (4, 4) grid-to-map pose of this station.
        """
        return self._receivers.wanted(pose, time.monotonic()) if self._is_wanted else None

    def turn(self, pose: npt.NDArray[np.float64]) -> float:
        """Return the angle of the grid against the sensor, radians; see `GridTurn`.

        Args:
            pose: (4, 4) sensor-to-map pose of this station.
        """
        if not self._turns:
            return 0.0
        return self._turn.towards(pose, self._receivers.poses(time.monotonic()))

    def reset(self) -> None:
        """Forget everyone, as after a jump in time."""
        self._trust.registry.reset()
        self._turn.reset()

    def report(self) -> Mapping[str, str]:
        """Return the stations heard and the refusals, for the diagnostics."""
        if not (self._is_wanted or self._turns):
            return {}
        turned = {"grid turned [degrees]": f"{np.degrees(self._turn.yaw):.1f}"}
        refused = {
            f"receivers' messages refused: {reason}": str(count)
            for reason, count in self._refused.items()
        }
        heard = {"receivers heard": str(self._receivers.count(time.monotonic()))}
        return {**heard, **(turned if self._turns else {}), **refused}

    def _on_packet(self, heard: HeardPacket) -> float:
        """Take a packet; returns the work that it was, in sweeps: it is not decoded."""
        now, packet = time.monotonic(), heard.packet
        if isinstance(packet, ObjectPacket):
            return LEAST_WORK  # where its station is, the tiles of the sweep tell

        def admit(_: Packet) -> None:
            self._trust.admit(heard, self._trust.check(heard, now), now)

        try:
            check_packet(packet, self._format, self._tolerance.latest_ns, admit)
            known = packet.pose if self._is_certain(packet) else None
        except (MessageRefusedError, PacketError, PeerRefusedError, ReplayError) as error:
            self._refuse(error.reason, str(error))
            return LEAST_WORK
        self._receivers.hear(packet.station_id, known, now)
        self._trust.registry.note_fused([packet.station_id], now)  # its packet was of use
        return work_of(packet, self._format)

    @staticmethod
    def _is_certain(packet: Packet) -> bool:
        """Tell whether a station knows well enough where it is."""
        name = f"station {packet.station_id}"
        try:
            check_uncertainty(packet.covariance, MAX_POSITION_SIGMA, MAX_HEADING_SIGMA, name)
        except PoseUncertaintyError:
            return False
        return True

    def _refuse(self, reason: str, text: str, count: int = 1) -> None:
        """Count a message that is not used: no fault of the own sweeps, which go out in full."""
        self._refused[reason] += count
        self._node.get_logger().debug(f"not heard as a receiver: {text}")
