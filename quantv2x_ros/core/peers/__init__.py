# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stations that are listened to: who they are, what each may send, what is believed of them."""

from quantv2x_ros.core.peers.admission import PeerAdmission
from quantv2x_ros.core.peers.announcement_watch import AnnouncementWatch
from quantv2x_ros.core.peers.clock_offset import LagMinimum
from quantv2x_ros.core.peers.host_station import HostStation, HostStationError
from quantv2x_ros.core.peers.key_ring import KeyRing, KeyRingError
from quantv2x_ros.core.peers.own_sweeps import OwnSweeps
from quantv2x_ros.core.peers.peer_ledger import PeerEntry, PeerLedger
from quantv2x_ros.core.peers.peers import (
    PeerField,
    PeerLimits,
    PeerRecord,
    PeerRefusedError,
    Standing,
)
from quantv2x_ros.core.peers.rate_limit import LoadBudget, TokenBucket
from quantv2x_ros.core.peers.reach import OutOfReachError, Reach
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.peers.replay_guard import ReplayError, ReplayGuard
from quantv2x_ros.core.peers.self_check import SelfCheck
from quantv2x_ros.core.peers.whereabouts import SharedIdError, Whereabouts

__all__ = [
    "AnnouncementWatch",
    "HostStation",
    "HostStationError",
    "KeyRing",
    "KeyRingError",
    "LagMinimum",
    "LoadBudget",
    "OutOfReachError",
    "OwnSweeps",
    "PeerAdmission",
    "PeerEntry",
    "PeerField",
    "PeerLedger",
    "PeerLimits",
    "PeerRecord",
    "PeerRefusedError",
    "PeerRegistry",
    "Reach",
    "ReplayError",
    "ReplayGuard",
    "SelfCheck",
    "SharedIdError",
    "Standing",
    "TokenBucket",
    "Whereabouts",
]
