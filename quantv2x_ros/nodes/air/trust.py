# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The admission of messages: rates, signatures, replays, and the bound on tracked stations."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.key_ring import KeyRing
from quantv2x_ros.core.peers.peers import PeerLimits, PeerTable, Standing
from quantv2x_ros.core.peers.signing import is_signed_by
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.nodes.air.signed_message import signed_content
from quantv2x_ros.nodes.common.conversions import MessageRefusedError, nanoseconds
from quantv2x_ros.nodes.common.parameters import ParameterError, declare


class ClockTolerance:
    """The tolerance for other stations' clocks that are ahead of this node's."""

    def __init__(self, node: Node) -> None:
        """Declare the parameter.

        Args:
            node: node that declares the parameter, and whose clock counts.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._node = node
        tolerance = declare(
            node,
            "clock_tolerance",
            ReceiverSettings.clock_tolerance,
            "How far a sweep's stamp may lie in the future by this node's clock [s].",
            low=0.0,
            high=60.0,
        )
        self._tolerance_ns = round(1e9 * tolerance)

    @property
    def latest_ns(self) -> int:
        """Return the newest stamp that is accepted now, nanoseconds."""
        return int(self._node.get_clock().now().nanoseconds) + self._tolerance_ns


class Trust:
    """Admits messages in three steps: `may_speak` before all other checks, `check`, `admit`.

    The executor's thread asks and notes what it receives, the threads that fuse what they fuse.
    """

    def __init__(self, node: Node, own_station: int) -> None:
        """Declare the parameters and load the key ring.

        Args:
            node: node that declares the parameters.
            own_station: id of the own station, which always has a place.

        Raises:
            ValueError: for a parameter or key ring that cannot be used.
        """
        folder = declare(
            node, "key_ring", "", "Folder with STATION.pem of every trusted station; empty: none."
        )
        self._require = declare(
            node,
            "require_signature",
            False,
            "Refuse messages that no key of the key ring has signed; needs key_ring.",
        )
        if self._require and not folder:
            raise ParameterError("require_signature is true, but key_ring names no folder of keys")
        self._own_station = own_station
        self._keys = KeyRing.load(folder) if folder else KeyRing({})
        self._peers = PeerTable(own_station, self._declare_limits(node))
        self._lock = threading.Lock()

    @staticmethod
    def _declare_limits(node: Node) -> PeerLimits:
        defaults = PeerLimits()
        return PeerLimits(
            max_peers=declare(
                node, "max_peers", defaults.max_peers, "Most peers tracked.", low=1, high=64
            ),
            rate=declare(
                node,
                "max_message_rate",
                defaults.rate,
                "Messages a second that are looked at from one tracked station [1/s].",
                low=1.0,
                high=100_000.0,
            ),
            newcomer_rate=declare(
                node,
                "newcomer_message_rate",
                defaults.newcomer_rate,
                "Messages a second that are looked at from all untracked stations together [1/s].",
                low=1.0,
                high=100_000.0,
            ),
            load=declare(
                node,
                "max_station_load",
                defaults.load,
                "Share of a processor that one station's messages may take, once it was fused or "
                "verified.",
                low=0.001,
                high=1.0,
            ),
            newcomer_load=declare(
                node,
                "newcomer_load",
                defaults.newcomer_load,
                "Share of a processor that messages of all other stations may take together.",
                low=0.001,
                high=1.0,
            ),
            sweeps=declare(
                node,
                "assured_sweep_rate",
                defaults.sweeps,
                "Sweeps a second that max_station_load and newcomer_load never refuse, however "
                "slow the machine: of each station that was fused or verified, and of all others "
                "together [1/s].",
                low=0.1,
                high=1000.0,
            ),
            replay_window=declare(
                node,
                "replay_window",
                defaults.replay_window,
                "How far a sweep may come behind its station's newest one [s].",
                low=0.01,
                high=60.0,
            ),
        )

    @property
    def tracked(self) -> int:
        """Return the number of stations tracked now."""
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

        The message is not remembered: its payload may still turn out to be garbage.

        Args:
            message: message as received.
            now: present time of the steady clock, seconds.

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
            message: message as received.
            verified: result of `check`.
            now: present time of the steady clock, seconds.

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
        """Forget all stations, as after a jump in time."""
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
