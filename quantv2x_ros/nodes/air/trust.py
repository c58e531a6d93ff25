# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The admission of messages: rates, signatures, replays, and the bound on tracked stations."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.peers.admission import PeerAdmission
from quantv2x_ros.core.peers.key_ring import KeyRing
from quantv2x_ros.core.peers.peers import PeerRecord
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.peers.signing import is_signed_by, kind_of
from quantv2x_ros.core.transport.packet import parts
from quantv2x_ros.graph.parameters.common import TrustParameters
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.common.conversions import MessageRefusedError


class ClockTolerance:
    """The tolerance for other stations' clocks that are ahead of this node's."""

    def __init__(self, node: Node, tolerance: float) -> None:
        """Go by a node's clock.

        Args:
            node: whose clock.
            tolerance: how far a stamp may lie in the future by it, seconds.
        """
        self._node = node
        self._tolerance_ns = round(1e9 * tolerance)

    @property
    def latest_ns(self) -> int:
        """Return the newest stamp that is accepted now, nanoseconds."""
        return int(self._node.get_clock().now().nanoseconds) + self._tolerance_ns


class Trust:
    """Admits messages in three steps: `may_speak` before all other checks, `check`, `admit`.

    The executor's thread calls it; the registry may be asked by any.

    Attributes:
        registry: the stations that are listened to.
    """

    def __init__(self, parameters: TrustParameters, own_station: int) -> None:
        """Load the key ring.

        Args:
            parameters: whose messages are accepted.
            own_station: id of the own station, which always has its place.

        Raises:
            ValueError: for a key ring that cannot be used.
        """
        folder = parameters.key_ring
        self._require = parameters.require_signature
        self._keys = KeyRing.load(folder) if folder else KeyRing({})
        self.registry = PeerRegistry(own_station, parameters.limits)
        self._admission = PeerAdmission(self.registry)

    def may_speak(self, station_id: int, now: float) -> str:
        """See `PeerAdmission.may_speak`."""
        return self._admission.may_speak(station_id, now)

    def spend(self, station_id: int, seconds: float, sweeps: float, now: float) -> None:
        """See `PeerAdmission.spend`."""
        self._admission.spend(station_id, seconds, sweeps, now)

    def check(self, heard: HeardPacket, now: float) -> bool:
        """Check signature, room and newness of a packet whose other fields have been checked.

        The packet is not remembered: its payload may still turn out to be garbage.

        Args:
            heard: as received.
            now: present time of the steady clock, seconds.

        Returns:
            Whether a known key has signed it, for `admit`.

        Raises:
            MessageRefusedError: ``unsigned``, ``unknown_station`` or ``signature``.
            PeerRefusedError: where there is no room for its station.
            ReplayError: where it was sent before.
        """
        verified = self._is_verified(heard)
        self._admission.check(*_tile(heard), now, verified)
        return verified

    def admit(self, heard: HeardPacket, verified: bool, now: float) -> PeerRecord:
        """Remember a packet that has passed all checks and could be decoded.

        Args:
            heard: as received.
            verified: result of `check`.
            now: present time of the steady clock, seconds.

        Returns:
            The record of its station.

        Raises:
            PeerRefusedError: see `check`.
            ReplayError: see `check`.
        """
        return self._admission.admit(*_tile(heard), now, verified)

    def _is_verified(self, heard: HeardPacket) -> bool:
        """Return whether a known key has signed the packet."""
        station, content, signature = heard.packet.station_id, *parts(heard.data)
        key = self._keys.get(station)
        if key is None:
            if self._require:
                raise MessageRefusedError(
                    "unknown_station",
                    f"station {station} has no key in the key ring, which holds "
                    f"{len(self._keys)} stations; add {station}.pem",
                )
            return False
        if not signature:
            raise MessageRefusedError(
                "unsigned",
                f"station {station} has a key in the key ring, but its packet is not signed; "
                "set signing_key at the station",
            )
        kind = heard.packet.signature_kind
        if kind != kind_of(key) or not is_signed_by(key, signature, content):
            raise MessageRefusedError(
                "signature",
                f"the signature of kind {kind} is not one of station {station} over this packet; "
                f"its key in the key ring makes those of kind {kind_of(key)}",
            )
        return True


def _tile(heard: HeardPacket) -> tuple[int, int, int, int]:
    """What tells a packet from others: station, stamp [ns], sequence and number in the sweep."""
    packet = heard.packet
    return packet.station_id, packet.stamp_ns, packet.sequence, packet.number
