# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The announcement of a station's model as a packet; docs/packet.md has it to the bit."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from quantv2x_ros.core.transport.packet import ANNOUNCEMENT, END_OF_TIME, PacketError

_FIELDS = struct.Struct("<BIqQBBHHHffffQ")
_CRC = struct.Struct("<I")
#: Longest text, bytes of UTF-8.
MAX_TEXT = 255


@dataclass(frozen=True)
class Announcement:
    """A station's model, grid and map frame, with which it sends its packets.

    Attributes:
        station_id: ETSI StationID of the station, 32 bits.
        stamp_ns: time of the announcement, nanoseconds.
        codebook_id: of the codebook and the entropy coder's model, 64 bits.
        levels: residual levels of the codebook.
        segments: segments of a cell's channels.
        dict_size: entries of each table.
        rows: rows of the map, along y.
        columns: columns of the map, along x.
        cell_size: edges of a cell along x and y, metres.
        origin: x and y of the outer corner of cell (0, 0), metres.
        format_id: of all that, as packets have it.
        map_frame: name of the frame that all poses are in.
        bundle_name: name of the model bundle.
        bundle_version: its version.
    """

    station_id: int
    stamp_ns: int
    codebook_id: int
    levels: int
    segments: int
    dict_size: int
    rows: int
    columns: int
    cell_size: tuple[float, float]
    origin: tuple[float, float]
    format_id: int
    map_frame: str
    bundle_name: str
    bundle_version: str

    def pack(self) -> bytes:
        """Return the packet.

        Raises:
            PacketError: for a value that it cannot hold.
        """
        if not 0 <= self.stamp_ns < END_OF_TIME:
            raise PacketError("malformed", f"announcement of {self.stamp_ns} ns, which is no time")
        try:
            fields = _FIELDS.pack(
                ANNOUNCEMENT << 4,
                self.station_id,
                self.stamp_ns,
                self.codebook_id,
                self.levels,
                self.segments,
                self.dict_size,
                self.rows,
                self.columns,
                *self.cell_size,
                *self.origin,
                self.format_id,
            )
            texts = [
                bytes((len(text.encode()),)) + text.encode()
                for text in (self.map_frame, self.bundle_name, self.bundle_version)
            ]
        except (struct.error, OverflowError, ValueError) as error:
            text = f"announcement of station {self.station_id}: {error}"
            raise PacketError("malformed", text) from error
        content = b"".join((fields, *texts))
        return content + _CRC.pack(zlib.crc32(content))

    @classmethod
    def unpack(cls, data: bytes) -> Announcement:
        """Read a packet.

        Raises:
            PacketError: ``malformed`` for bytes that are none, ``crc`` for damaged ones.
        """
        if len(data) < _FIELDS.size + _CRC.size or data[0] != ANNOUNCEMENT << 4:
            raise PacketError("malformed", f"{len(data)} bytes are no announcement")
        content, (told,) = data[: -_CRC.size], _CRC.unpack(data[-_CRC.size :])
        if zlib.crc32(content) != told:
            raise PacketError("crc", f"announcement of {len(data)} bytes has not its checksum")
        _, station, stamp_ns, codebook, levels, segments, dict_size, *rest = _FIELDS.unpack_from(
            content
        )
        if not 0 <= stamp_ns < END_OF_TIME:
            raise PacketError("malformed", f"an announcement of {stamp_ns} ns, which is no time")
        rows, columns, size_x, size_y, origin_x, origin_y, format_id = rest
        map_frame, bundle_name, bundle_version = _texts(content)
        return cls(
            station_id=station,
            stamp_ns=stamp_ns,
            codebook_id=codebook,
            levels=levels,
            segments=segments,
            dict_size=dict_size,
            rows=rows,
            columns=columns,
            cell_size=(size_x, size_y),
            origin=(origin_x, origin_y),
            format_id=format_id,
            map_frame=map_frame,
            bundle_name=bundle_name,
            bundle_version=bundle_version,
        )


def _texts(content: bytes) -> tuple[str, str, str]:
    """Return the three texts at the end of an announcement."""
    place, texts = _FIELDS.size, []
    for _ in range(3):
        length = content[place] if place < len(content) else MAX_TEXT
        text = content[place + 1 : place + 1 + length]
        place += 1 + length
        if place > len(content):
            raise PacketError("malformed", "an announcement's texts are longer than it is")
        try:
            texts.append(text.decode())
        except UnicodeDecodeError as error:
            raise PacketError("malformed", f"an announcement's text: {error}") from error
    if place != len(content):
        raise PacketError("malformed", f"{len(content) - place} bytes behind an announcement")
    return texts[0], texts[1], texts[2]
