# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets in messages, to send, to change and to look at in tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.transport.object_packet import AnyPacket, read_packet
from quantv2x_ros.core.transport.packet import CONTEXT, Packet, seal, unpack
from quantv2x_ros.core.transport.packet_tiles import read_tile
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.tiles import TilePlace
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.index_format import IndexFormat

#: Where an unsigned packet has its orientation.
_TURN = slice(28, 34)


def plain_packet(**values: Any) -> Packet:
    """Return a well-formed packet of station 7, which belongs to no bundle, with other values."""
    packet = Packet(
        station_id=7,
        sequence=0,
        stamp_ns=10**10,
        pose=np.eye(4),
        spread=PoseSpread(),
        format_id=42,
        tile_index=0,
        tile_count=1,
        parity_count=0,
        place=TilePlace(0, 1, 0, 1, 0, 1),
        sent_levels=1,
        omitted_cells=0,
        encoding=CONTEXT,
        payload=b"payload",
    )
    return packet.with_values(**values)


def message_with(packet: AnyPacket, frame_id: str = "lidar") -> BevIndices:
    """Return the message that carries a packet, unsigned."""
    data = replace(packet, signature_kind=0).content()
    return message_of(data, packet.stamp_ns, frame_id)


def changed(message: BevIndices, **values: Any) -> BevIndices:
    """Return a message whose packet has other values, and the right checksum; unsigned."""
    return message_with(unpack(message.packet).with_values(**values), message.header.frame_id)


def without_orientation(message: BevIndices) -> BevIndices:
    """Return a message whose packet has the right checksum, but an orientation that is none."""
    data = bytearray(message.packet)
    data[_TURN] = b"\xff" * 6
    seal(data)
    return message_of(bytes(data), 0, message.header.frame_id)


def sent_spread(covariance: Any) -> PoseSpread:
    """Return how uncertain a pose with a covariance is by its packet, as receivers get it."""
    return PoseSpread.unpack(PoseSpread.of(covariance).pack())


@dataclass(frozen=True, eq=False)
class Heard:
    """A received message; the packet's values are attributes of it, too."""

    message: BevIndices
    packet: AnyPacket

    @property
    def header(self) -> Any:
        return self.message.header

    @property
    def data(self) -> bytes:
        """All bytes of the packet."""
        return bytes(self.message.packet)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.packet, name)


def heard(message: BevIndices) -> Heard:
    """Return a message with its packet's values."""
    return Heard(message, read_packet(message.packet))


def tile_of(packet: Heard, bundle: ModelBundle, map_frame: str = "map") -> Tile:
    """Return what a station with a model bundle and a map frame reads of a packet."""
    form = IndexFormat.of(bundle, map_frame).packets
    return read_tile(packet.packet, form, packet.stamp_ns, frame_id=packet.header.frame_id)
