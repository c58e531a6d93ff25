# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who is believed: rates, signatures, replays and the bound on tracked stations."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.key_ring import KeyRing
from quantv2x_ros.core.peers.peers import PeerTable, Standing
from quantv2x_ros.core.peers.signing import is_signed_by
from quantv2x_ros.graph.parameters.common import TrustParameters
from quantv2x_ros.nodes.air.signed_message import signed_content
from quantv2x_ros.nodes.common.conversions import MessageRefusedError, nanoseconds


class ClockTolerance:
    """How far others' clocks may be ahead of a node's."""

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
        """The newest stamp that is believed now, nanoseconds."""
        return int(self._node.get_clock().now().nanoseconds) + self._tolerance_ns


class Trust:
    """Admits messages in three steps: `may_speak` before all other checks, `check`, `admit`.

    The executor's thread asks and notes what it receives, the threads that fuse what they fuse.
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
        self._own_station = own_station
        self._keys = KeyRing.load(folder) if folder else KeyRing({})
        self._peers = PeerTable(own_station, parameters.limits)
        self._lock = threading.Lock()

    @property
    def tracked(self) -> int:
        """Stations tracked now."""
        return len(self._peers)

    def is_tracked(self, station_id: int) -> bool:
        """Return whether a station is tracked."""
        return station_id in self._peers

    def may_speak(self, station_id: int, now: float) -> str:
        """See `PeerTable.may_speak`."""
        with self._lock:
            return self._peers.may_speak(station_id, now)

    def spend(self, station_id: int, seconds: float, sweeps: float, now: float) -> None:
        """See `PeerTable.spend`."""
        with self._lock:
            self._peers.spend(station_id, seconds, sweeps, now)

    def check(self, message: BevIndices, now: float) -> bool:
        """Check signature, room and newness of a message whose other fields have been checked.

        Nothing is remembered of it: what it holds may still turn out to be garbage.

        Args:
            message: as received.
            now: seconds of the steady clock.

        Returns:
            Whether a known key has signed it, for `admit`.

        Raises:
            MessageRefusedError: ``unsigned``, ``unknown_station`` or ``signature``.
            PeerRefusedError: where there is no room for its station.
            ReplayError: where it was sent before.
        """
        verified = self._is_verified(message)
        stamp_ns = nanoseconds(message.header.stamp)
        tile = (stamp_ns, message.sequence, message.tile_index)
        with self._lock:
            self._peers.check(message.station_id, *tile, now, verified)
        return verified

    def admit(self, message: BevIndices, verified: bool, now: float) -> None:
        """Remember a message that has passed all checks and could be decoded.

        Args:
            message: as received.
            verified: what `check` has returned.
            now: seconds of the steady clock.

        Raises:
            PeerRefusedError: see `check`.
            ReplayError: see `check`.
        """
        with self._lock:
            peer = self._peers.admit(message.station_id, now, verified)
            if message.station_id == self._own_station:
                return  # its time is the measure of all others'; a jump back starts afresh
            stamp_ns = nanoseconds(message.header.stamp)
            peer.guard.admit(stamp_ns, message.sequence, message.tile_index)

    def note_fused(self, station_ids: Iterable[int], now: float) -> None:
        """See `PeerTable.note_fused`."""
        with self._lock:
            self._peers.note_fused(station_ids, now)

    def standing_of(self, station_id: int, now: float) -> Standing:
        """See `PeerTable.standing_of`."""
        with self._lock:
            return self._peers.standing_of(station_id, now)

    def works_since(self, station_id: int) -> float:
        """See `PeerTable.works_since`."""
        with self._lock:
            return self._peers.works_since(station_id)

    def waits_since(self, station_id: int) -> float:
        """See `PeerTable.waits_since`."""
        with self._lock:
            return self._peers.waits_since(station_id)

    def take_evicted(self) -> list[int]:
        """See `PeerTable.take_evicted`."""
        with self._lock:
            return self._peers.take_evicted()

    def reset(self) -> None:
        """Forget everyone, as after a jump in time."""
        with self._lock:
            self._peers.reset()

    def _is_verified(self, message: BevIndices) -> bool:
        """Return whether a known key has signed the message."""
        station = message.station_id
        key = self._keys.get(station)
        if key is None:
            if self._require:
                raise MessageRefusedError(
                    "unknown_station",
                    f"station {station} has no key in the key ring, which holds "
                    f"{len(self._keys)} stations; add {station}.pem",
                )
            return False
        if not len(message.signature):
            raise MessageRefusedError(
                "unsigned",
                f"station {station} has a key in the key ring, but its message is not signed; "
                "set signing_key at the station",
            )
        if not is_signed_by(key, bytes(message.signature), signed_content(message)):
            raise MessageRefusedError(
                "signature", f"the signature is not one of station {station} over this message"
            )
        return True
