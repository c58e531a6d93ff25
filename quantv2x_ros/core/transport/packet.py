# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The packet that carries a tile: 64 bytes of header, the payload, a signature.

docs/packet.md has it to the bit. What is received is an attack until it has been checked: `unpack`
checks what a packet tells of itself, and nothing of what it means to this station.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np

from quantv2x_ros.core.geometry.packed_pose import (
    POSE_BYTES,
    PoseSpread,
    pack_pose,
    unpack_pose,
)
from quantv2x_ros.core.geometry.pose import Matrix, PoseError
from quantv2x_ros.core.transport.packet_sizes import (
    HEADER_BYTES,
    MAX_PACKET_BYTES,
    SIGNATURE_BYTES,
)
from quantv2x_ros.core.transport.tiles import MAX_TILES, TilePlace

#: The kinds of packets, in the upper half of the first byte.
TILE, ANNOUNCEMENT, OBJECTS = 1, 2, 3
#: Bytes of the header of a sweep's packets by kind; the checksum is its end.
HEADERS = {TILE: HEADER_BYTES, OBJECTS: 52}
#: Encodings of a payload.
BIT_PACKED, CONTEXT, PARITY = 0, 1, 2
#: Most levels, and most rows or columns, that a tile's place can name.
MAX_LEVELS, MAX_CELLS = 16, 4096
#: Most cells that can be counted as left out, and most parity tiles.
MAX_OMITTED, MAX_PARITY = 2**20 - 1, 255
_SENDER = struct.Struct("<BIIq")
_CRC = struct.Struct("<I")
_POSE_AT = _SENDER.size
_SPREAD_AT = _POSE_AT + POSE_BYTES
_FORMAT_AT = _SPREAD_AT + 4
_LEVELS_AT = _FORMAT_AT + 8
_PLACE_AT = _LEVELS_AT + 1
_SENT_AT = _PLACE_AT + 6
_COUNTS_AT = _SENT_AT + 1
_CRC_AT = _COUNTS_AT + 6
#: Times before this are ones, nanoseconds: those that a message of ROS can hold.
END_OF_TIME = 2**31 * 10**9
#: Where the station's id begins, and the sweep's time.
STATION_AT, STAMP_AT = 1, 9


class PacketError(ValueError):
    """Bytes that are no packet, or values that none can hold.

    Attributes:
        reason: ``malformed``, ``crc``, ``tiles``, ``objects``, ``pose`` or ``payload_size``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Packet:
    """A tile with all that receivers need to use it.

    Attributes:
        station_id: ETSI StationID of the sender, 32 bits.
        sequence: number of the sweep, 32 bits.
        stamp_ns: time of the sweep, nanoseconds.
        pose: (4, 4) sensor-to-map, metres.
        spread: how uncertain the pose is.
        format_id: of codebook, grid and map frame; see `packet_format.format_id`.
        tile_index: number of the tile; from tile_count on, it is a parity tile.
        tile_count: tiles of the sweep that hold indices, 1 to `MAX_TILES`.
        parity_count: parity tiles of the sweep, 0 to `MAX_PARITY`.
        place: levels and cells that the tile holds; None for a parity tile.
        sent_levels: residual levels of which the sweep's tiles hold anything.
        omitted_cells: cells that hold something, but are sent as background or not at all.
        encoding: of the payload: `BIT_PACKED`, `CONTEXT` or `PARITY`.
        payload: the tile's indices, coded.
        signature_kind: a key of `SIGNATURE_BYTES`.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    pose: Matrix
    spread: PoseSpread
    format_id: int
    tile_index: int
    tile_count: int
    parity_count: int
    place: TilePlace | None
    sent_levels: int
    omitted_cells: int
    encoding: int
    payload: bytes
    signature_kind: int = 0

    @property
    def covariance(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The pose's covariance, (36,), as ROS has it; zeros where it is not known."""
        return self.spread.covariance

    @property
    def number(self) -> int:
        """What tells it from the other packets of its sweep."""
        return self.tile_index

    @property
    def is_parity(self) -> bool:
        """Whether it holds no indices, but restores lost tiles."""
        return self.tile_index >= self.tile_count

    def content(self) -> bytes:
        """Return all bytes of the packet but its signature: what is signed.

        Raises:
            PacketError: naming a value that the packet cannot hold.
        """
        try:
            head = self._head()
        except PoseError as error:
            raise PacketError("pose", f"packet of station {self.station_id}: {error}") from error
        except (struct.error, OverflowError) as error:
            raise PacketError(
                "malformed", f"packet of station {self.station_id}: {error}"
            ) from error
        size = HEADER_BYTES + len(self.payload) + SIGNATURE_BYTES[self.signature_kind]
        if size > MAX_PACKET_BYTES:
            raise PacketError(
                "payload_size",
                f"a packet of {size} bytes, allowed are {MAX_PACKET_BYTES}; set max_payload_bytes",
            )
        crc = zlib.crc32(self.payload, zlib.crc32(head))
        return b"".join((head, _CRC.pack(crc), self.payload))

    def _head(self) -> bytes:
        """Return the header but for its checksum."""
        self._check_values()
        kinds = TILE << 4 | self.encoding << 2 | self.signature_kind
        if not (0 <= self.encoding < 4 and self.signature_kind in SIGNATURE_BYTES):
            raise PacketError(
                "malformed",
                f"encoding {self.encoding}, signature {self.signature_kind}: allowed are 0 to 3 "
                f"and {list(SIGNATURE_BYTES)}",
            )
        counts = (
            self.tile_index
            | (self.tile_count - 1) << 10
            | self.parity_count << 20
            | min(self.omitted_cells, MAX_OMITTED) << 28
        )
        return b"".join(
            (
                _SENDER.pack(kinds, self.station_id, self.sequence, self.stamp_ns),
                pack_pose(self.pose),
                self.spread.pack(),
                self.format_id.to_bytes(8, "little"),
                _pack_place(self.place),
                self.sent_levels.to_bytes(1, "little"),
                counts.to_bytes(6, "little"),
            )
        )

    def _check_values(self) -> None:
        """Check what bytes can hold, but none can have.

        Raises:
            PacketError: ``malformed`` or ``tiles``.
        """
        if not 0 <= self.stamp_ns < END_OF_TIME:
            raise PacketError(
                "malformed",
                f"station {self.station_id}: its time is {self.stamp_ns} ns, allowed are 0 to "
                f"{END_OF_TIME - 1}",
            )
        index, count, parity = self.tile_index, self.tile_count, self.parity_count
        fits = 1 <= count <= MAX_TILES and 0 <= parity <= MAX_PARITY
        if not (fits and 0 <= index < min(count + parity, MAX_TILES)):
            raise PacketError(
                "tiles",
                f"station {self.station_id}: tile {index} of {count} and {parity} parity tiles; "
                f"allowed are 1 to {MAX_TILES} and 0 to {MAX_PARITY}, {MAX_TILES} in all, counted "
                "from 0",
            )
        if (self.place is None) != self.is_parity:
            raise PacketError(
                "tiles",
                f"station {self.station_id}: tile {index} of {count} has place {self.place}; "
                "tiles have one, parity tiles none",
            )

    def with_values(self, **values: object) -> Packet:
        """Return the packet with other values."""
        return replace(self, **values)  # type: ignore[arg-type]


def unpack(data: bytes | bytearray | memoryview) -> Packet:
    """Read a packet.

    Args:
        data: header, payload and signature.

    Raises:
        PacketError: ``malformed`` for bytes that are none, ``crc`` for damaged ones, ``tiles`` or
            ``pose`` for numbers or a pose that cannot be.
    """
    data = bytes(data)
    end = content_end(data, TILE)
    station = station_of(data)
    first, _, sequence, stamp_ns = _SENDER.unpack_from(data)
    try:
        pose = unpack_pose(data[_POSE_AT:_SPREAD_AT])
    except PoseError as error:
        raise PacketError("pose", f"packet of station {station}: {error}") from error
    counts = int.from_bytes(data[_COUNTS_AT:_CRC_AT], "little")
    index, count = counts & 0x3FF, (counts >> 10 & 0x3FF) + 1
    packet = Packet(
        station_id=station,
        sequence=sequence,
        stamp_ns=stamp_ns,
        pose=pose,
        spread=PoseSpread.unpack(data[_SPREAD_AT:_FORMAT_AT]),
        format_id=int.from_bytes(data[_FORMAT_AT:_LEVELS_AT], "little"),
        tile_index=index,
        tile_count=count,
        parity_count=counts >> 20 & 0xFF,
        place=_unpack_place(data, index >= count, station),
        sent_levels=data[_SENT_AT],
        omitted_cells=counts >> 28,
        encoding=first >> 2 & 3,
        payload=data[HEADER_BYTES:end],
        signature_kind=first & 3,
    )
    packet._check_values()
    return packet


def parts(data: bytes | bytearray | memoryview) -> tuple[bytes, bytes]:
    """Return the signed bytes of a sweep's packet, and its signature.

    Raises:
        PacketError: ``malformed`` for bytes that are no packet.
    """
    data = bytes(data)
    end = len(data) - _signature_size(data)
    return data[:end], data[end:]


def station_of(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Return the station id of a packet, of which no more is looked at.

    Args:
        data: bytes that hold a packet.
        start: where it begins.

    Raises:
        PacketError: ``malformed`` where there are too few bytes.
    """
    if len(data) < start + min(HEADERS.values()):
        raise PacketError("malformed", f"{len(data) - start} bytes are no packet")
    return int.from_bytes(data[start + STATION_AT : start + STATION_AT + 4], "little")


def stamp_of(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Return the time of a packet's sweep, nanoseconds; see `station_of`."""
    station_of(data, start)
    place = start + STAMP_AT
    return int.from_bytes(data[place : place + 8], "little", signed=True)


def seal(data: bytearray, start: int = 0) -> None:
    """Write the right checksum into a packet whose bytes were changed; its signature stays.

    Args:
        data: bytes that end with a packet.
        start: where it begins.
    """
    end = len(data) - SIGNATURE_BYTES[data[start] & 3]
    begin = start + HEADERS.get(data[start] >> 4, HEADER_BYTES)
    crc = zlib.crc32(data[begin:end], zlib.crc32(data[start : begin - _CRC.size]))
    _CRC.pack_into(data, begin - _CRC.size, crc)


def content_end(data: bytes, kind: int) -> int:
    """Return where the content of a packet ends, and its signature begins.

    Args:
        data: all bytes.
        kind: that it must be of, a key of `HEADERS`.

    Raises:
        PacketError: ``malformed`` for another kind or too few bytes, ``crc`` for damaged ones.
    """
    end = len(data) - _signature_size(data)
    if data[0] >> 4 != kind:
        raise PacketError("malformed", f"a packet of kind {data[0] >> 4}, expected is {kind}")
    begin = HEADERS[kind]
    crc = zlib.crc32(data[begin:end], zlib.crc32(data[: begin - _CRC.size]))
    (told,) = _CRC.unpack_from(data, begin - _CRC.size)
    if crc != told:
        raise PacketError(
            "crc",
            f"packet of station {station_of(data)} has CRC {crc:08x}, its header says {told:08x}",
        )
    return end


def _signature_size(data: bytes) -> int:
    """Return the bytes of a packet's signature."""
    station_of(data)
    kind, signature = data[0] >> 4, data[0] & 3
    if kind not in HEADERS or signature not in SIGNATURE_BYTES or len(data) > MAX_PACKET_BYTES:
        raise PacketError(
            "malformed",
            f"{len(data)} bytes of kind {kind} with signature {signature}: allowed are up to "
            f"{MAX_PACKET_BYTES}, kinds {list(HEADERS)} and {list(SIGNATURE_BYTES)}",
        )
    size = SIGNATURE_BYTES[signature]
    if len(data) < HEADERS[kind] + size:
        raise PacketError("malformed", f"{len(data)} bytes hold no header and signature")
    return size


def _pack_place(place: TilePlace | None) -> bytes:
    """Return a tile's levels, then its rows and columns, in 12 bits each."""
    if place is None:
        return bytes(7)
    levels = place.first_level << 4 | (place.levels - 1)
    values = (place.first_row, place.rows - 1, place.first_column, place.columns - 1)
    if not (
        0 <= place.first_level < MAX_LEVELS
        and 1 <= place.levels <= MAX_LEVELS
        and all(0 <= value < MAX_CELLS for value in values)
    ):
        raise PacketError(
            "tiles",
            f"{place}: a packet names up to {MAX_LEVELS} levels and {MAX_CELLS} rows and columns",
        )
    word = sum(value << 12 * number for number, value in enumerate(values))
    return levels.to_bytes(1, "little") + word.to_bytes(6, "little")


def _unpack_place(data: bytes, is_parity: bool, station: int) -> TilePlace | None:
    """Return a tile's place; None for a parity tile, in which it is 0."""
    levels = data[_LEVELS_AT]
    word = int.from_bytes(data[_PLACE_AT:_SENT_AT], "little")
    if is_parity:
        if levels or word:
            raise PacketError(
                "tiles",
                f"station {station} sent a parity tile with place {levels:02x} {word:012x}; "
                "allowed are zeros",
            )
        return None
    row, rows, column, columns = (word >> 12 * number & 0xFFF for number in range(4))
    return TilePlace(levels >> 4, (levels & 15) + 1, row, rows + 1, column, columns + 1)
