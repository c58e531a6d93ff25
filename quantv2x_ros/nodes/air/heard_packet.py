# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets in ``BevIndices`` messages."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.object_packet import AnyPacket, read_packet
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.nodes.common.conversions import time_message


@dataclass(frozen=True, eq=False)
class HeardPacket:
    """A packet as it was heard.

    Attributes:
        packet: what it says.
        data: its bytes, which a signature is over.
        frame_id: what the message around it calls the sender's LiDAR frame. No signature is over
            that: only the own station's is used.
    """

    packet: AnyPacket
    data: bytes
    frame_id: str

    @classmethod
    def of(cls, message: BevIndices) -> HeardPacket:
        """Read that of a message.

        Raises:
            PacketError: see `read_packet`.
        """
        data = bytes(message.packet)
        return cls(read_packet(data), data, message.header.frame_id)

    @classmethod
    def read(cls, content: bytes) -> HeardPacket:
        """Read that of a serialized message.

        Raises:
            PacketError: ``malformed`` where it is no message; see `read_packet`.
        """
        try:
            message = deserialize_message(content, BevIndices)
        except (RuntimeError, ValueError) as error:  # rmw and UTF-8 decoding raise these
            raise PacketError(
                "malformed", f"{len(content)} bytes are no BevIndices: {error}"
            ) from error
        return cls.of(message)


def message_of(data: bytes, stamp_ns: int, frame_id: str) -> BevIndices:
    """Return the message that carries a packet.

    Args:
        data: the packet, with its signature.
        stamp_ns: time of its sweep, nanoseconds.
        frame_id: the sender's LiDAR frame.
    """
    return BevIndices(
        header=Header(stamp=time_message(stamp_ns), frame_id=frame_id),
        packet=array("B", data),  # the form that rclpy takes without a loop
    )
