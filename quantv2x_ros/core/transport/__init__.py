# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps on a lossy link: tiles, packets, erasure codes; sending, receiving, concealing."""

from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.assembly import (
    AssembledSweep,
    AssemblyError,
    OpenSweep,
    ReceptionError,
    SweepAssembler,
)
from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.core.transport.datagram_gate import DatagramGate
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.core.transport.object_packet import ObjectPacket, SentObjects
from quantv2x_ros.core.transport.packet import Packet, PacketError
from quantv2x_ros.core.transport.packet_format import PacketFormat
from quantv2x_ros.core.transport.packet_tiles import Stamped, SweepSource
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.reception import Reception, TileCounts
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.core.transport.sweep_sender import (
    RateController,
    RateError,
    SendSettings,
    SentSweep,
    SweepSender,
)
from quantv2x_ros.core.transport.tile_cutting import TileCutter
from quantv2x_ros.core.transport.tiles import CodedTile, IndexMapFormat, TilePlace, TileSettings
from quantv2x_ros.core.transport.waiting_messages import WaitingMessage, WaitingMessages

__all__ = [
    "AgentSweep",
    "Announcement",
    "AssembledSweep",
    "AssemblyError",
    "CodedTile",
    "DatagramGate",
    "ErasureCodeError",
    "GridTurn",
    "IndexMapFormat",
    "ObjectPacket",
    "OpenSweep",
    "Packet",
    "PacketError",
    "PacketFormat",
    "RateController",
    "RateError",
    "Receivers",
    "Reception",
    "ReceptionError",
    "SendSettings",
    "SentObjects",
    "SentSweep",
    "Stamped",
    "SweepAssembler",
    "SweepMemory",
    "SweepSender",
    "SweepSource",
    "Tile",
    "TileCounts",
    "TileCutter",
    "TilePlace",
    "TileSettings",
    "WaitingMessage",
    "WaitingMessages",
]
