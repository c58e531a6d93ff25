# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps as tiles on a lossy link: cutting, erasure coding, sending, receiving, concealing."""

from quantv2x_ros.core.transport.assembly import (
    AssembledSweep,
    AssemblyError,
    OpenSweep,
    ReceptionError,
    SweepAssembler,
)
from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError
from quantv2x_ros.core.transport.grid_turn import GridTurn
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
    "AssembledSweep",
    "AssemblyError",
    "CodedTile",
    "ErasureCodeError",
    "GridTurn",
    "IndexMapFormat",
    "OpenSweep",
    "RateController",
    "RateError",
    "Receivers",
    "Reception",
    "ReceptionError",
    "SendSettings",
    "SentSweep",
    "SweepAssembler",
    "SweepMemory",
    "SweepSender",
    "Tile",
    "TileCounts",
    "TileCutter",
    "TilePlace",
    "TileSettings",
    "WaitingMessage",
    "WaitingMessages",
]
