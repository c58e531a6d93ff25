# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps as tiles on a lossy link: cutting, erasure coding, sending, receiving, concealing."""

from quantv2x_ros.core.transport.assembly import (
    AssembledFrame,
    AssemblyError,
    FrameAssembler,
    OpenSweep,
    ReceptionError,
)
from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.core.transport.frame_sender import (
    FrameSender,
    RateController,
    RateError,
    SendSettings,
    SentFrame,
)
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.core.transport.parity import ParityError
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.reception import Reception, TileCounts
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.core.transport.tile_cutting import TileCutter
from quantv2x_ros.core.transport.tiles import CodedTile, FrameFormat, TilePlace, TileSettings
from quantv2x_ros.core.transport.waiting_messages import WaitingMessage, WaitingMessages

__all__ = [
    "AgentSweep",
    "AssembledFrame",
    "AssemblyError",
    "CodedTile",
    "FrameAssembler",
    "FrameFormat",
    "FrameSender",
    "GridTurn",
    "OpenSweep",
    "ParityError",
    "RateController",
    "RateError",
    "Receivers",
    "Reception",
    "ReceptionError",
    "SendSettings",
    "SentFrame",
    "SweepMemory",
    "Tile",
    "TileCounts",
    "TileCutter",
    "TilePlace",
    "TileSettings",
    "WaitingMessage",
    "WaitingMessages",
]
