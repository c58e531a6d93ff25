# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles to ``BevIndices`` and back. A received message is an attack until it is checked."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.coding.wire import CONTEXT, PACKED, WireError, packed_size, payload_coding
from quantv2x_ros.core.transport.erasure_code import MAX_CODEWORD, OVERHEAD_BYTES
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.tiles import MAX_TILES, CodedTile, TilePlace
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common.conversions import (
    MessageRefusedError,
    nanoseconds,
    pose_from_message,
)

_ENCODINGS = {PACKED: BevIndices.ENCODING_BIT_PACKED, CONTEXT: BevIndices.ENCODING_CONTEXT}
_MINUTE_NS = 60_000_000_000
#: Fields of a tile's place, as in `TilePlace`.
_PLACE = (
    "first_level",
    "tile_levels",
    "first_row",
    "tile_rows",
    "first_column",
    "tile_columns",
)


def tile_from_message(
    message: BevIndices,
    index_format: IndexFormat,
    map_frame: str,
    latest_stamp_ns: int,
    admit: Callable[[BevIndices], None] = lambda message: None,
) -> Tile:
    """Check everything in a received message, then decode it.

    Args:
        message: message as received.
        index_format: index format of this station.
        map_frame: name of this station's map frame.
        latest_stamp_ns: newest stamp that is accepted, nanoseconds.
        admit: expensive checks, such as of a signature, made after all others and before
            decoding; their errors are passed on.

    Raises:
        MessageRefusedError: naming what is wrong, with both values.
    """
    pose, place = check_message(message, index_format, map_frame, latest_stamp_ns, admit)
    return Tile(
        station_id=message.station_id,
        sequence=message.sequence,
        stamp_ns=nanoseconds(message.header.stamp),
        frame_id=message.header.frame_id,
        pose=pose,
        tile_index=message.tile_index,
        tile_count=message.tile_count,
        parity_count=message.parity_count,
        payload=bytes(message.payload),
        place=place,
        indices=_decode(message, place, index_format),
    )


def check_message(
    message: BevIndices,
    index_format: IndexFormat,
    map_frame: str,
    latest_stamp_ns: int,
    admit: Callable[[BevIndices], None] = lambda message: None,
) -> tuple[npt.NDArray[np.float64], TilePlace | None]:
    """Check everything in a received message but what its payload decodes to.

    Args:
        message: message as received.
        index_format: index format of this station.
        map_frame: name of this station's map frame.
        latest_stamp_ns: newest stamp that is accepted, nanoseconds.
        admit: expensive checks, such as of a signature, made after all others; their errors
            are passed on.

    Returns:
        The sender's pose (4, 4), and the place of the tile; None of a parity tile.

    Raises:
        MessageRefusedError: naming what is wrong, with both values.
    """
    station = f"station {message.station_id}"
    index_format.check(message)
    _check_numbers(message)
    if message.map_frame != map_frame:
        raise MessageRefusedError(
            "map_frame",
            f"{station} gives its pose in {message.map_frame!r}, this station in {map_frame!r}",
        )
    stamp_ns = nanoseconds(message.header.stamp)
    if stamp_ns > latest_stamp_ns:
        raise MessageRefusedError(
            "future",
            f"{station} sent a sweep of {stamp_ns / 1e9:.3f} s, which is after "
            f"{latest_stamp_ns / 1e9:.3f} s, now and the tolerance; "
            f"{_clock_remedy(latest_stamp_ns)}",
        )
    pose = pose_from_message(message.sensor_pose, station)
    place = _place(message, index_format)
    _check_crc(message)
    admit(message)
    return pose, place


def _clock_remedy(latest_stamp_ns: int) -> str:
    """Word the remedy for a stamp after the newest accepted one, nanoseconds."""
    if latest_stamp_ns < _MINUTE_NS:  # no clock has been in its first minute but a simulated one
        return "this node's time is near 0: is there a /clock, as use_sim_time needs?"
    return "check the clocks"


def messages_from_tiles(
    tiles: Sequence[CodedTile],
    parity: Sequence[bytes],
    index_format: IndexFormat,
    template: BevIndices,
) -> list[BevIndices]:
    """Make the messages of a sweep.

    Args:
        tiles: tiles of the sweep, in the order of their numbers.
        parity: payloads of the sweep's parity tiles.
        index_format: format of the map.
        template: message with header, station, sequence, pose, sent_levels and omitted_cells.
    """
    messages = []
    payloads = [*(tile.payload for tile in tiles), *parity]
    for number, payload in enumerate(payloads):
        message = BevIndices(
            header=template.header,
            station_id=template.station_id,
            sequence=template.sequence,
            map_frame=template.map_frame,
            sensor_pose=template.sensor_pose,
            tile_index=number,
            tile_count=len(tiles),
            parity_count=len(parity),
            sent_levels=template.sent_levels,
            omitted_cells=template.omitted_cells,
            encoding=BevIndices.ENCODING_PARITY,
            payload_crc=zlib.crc32(payload),
        )
        if number < len(tiles):
            place = tiles[number].place
            message.first_level, message.tile_levels = place.first_level, place.levels
            message.first_row, message.tile_rows = place.first_row, place.rows
            message.first_column, message.tile_columns = place.first_column, place.columns
            message.encoding = _ENCODINGS[payload_coding(payload)]
        index_format.fill(message)
        message.payload = array("B", payload)  # the form that rclpy takes without a loop
        messages.append(message)
    return messages


def _check_numbers(message: BevIndices) -> None:
    """Check the number of a tile against those of its sweep.

    Raises:
        MessageRefusedError: ``tiles``.
    """
    number, count, parity = message.tile_index, message.tile_count, message.parity_count
    most = MAX_CODEWORD - count if parity else MAX_TILES
    if not (1 <= count <= MAX_TILES and number < count + parity and parity <= most):
        raise MessageRefusedError(
            "tiles",
            f"station {message.station_id} sent tile {number} of {count} and {parity} parity "
            f"tiles; allowed are 1 to {MAX_TILES} tiles, or {MAX_CODEWORD} with parity, counted "
            "from 0",
        )


def _place(message: BevIndices, index_format: IndexFormat) -> TilePlace | None:
    """Return the place of a tile, and check the size of its payload; None for a parity tile.

    Raises:
        MessageRefusedError: ``tiles``, ``encoding`` or ``payload_size``.
    """
    station = f"station {message.station_id}"
    values = [int(getattr(message, name)) for name in _PLACE]
    form = index_format.frame
    size = len(message.payload)
    if message.tile_index >= message.tile_count:
        _expect_encoding(message, (BevIndices.ENCODING_PARITY,))
        if any(values):
            raise MessageRefusedError(
                "tiles", f"{station} sent a parity tile with a place, {values}; allowed are zeros"
            )
        limit = packed_size(form.shape, form.entropy_model) + OVERHEAD_BYTES
        place = None
    else:
        _expect_encoding(message, tuple(_ENCODINGS.values()))
        place = TilePlace(*values)
        try:
            place.check(form.levels, form.rows, form.columns)
        except WireError as error:
            raise MessageRefusedError("tiles", f"{station}: {error}") from error
        limit = packed_size(form.tile_shape(place), form.entropy_model)
    if size > limit:
        raise MessageRefusedError(
            "payload_size", f"{station} sent {size} bytes in a tile, allowed are {limit}"
        )
    return place


def _expect_encoding(message: BevIndices, known: Sequence[int]) -> None:
    if message.encoding not in known:
        raise MessageRefusedError(
            "encoding",
            f"station {message.station_id} uses encoding {message.encoding} in tile "
            f"{message.tile_index} of {message.tile_count}, known are {list(known)} there",
        )


def _check_crc(message: BevIndices) -> None:
    """Check the payload's checksum.

    Raises:
        MessageRefusedError: ``payload_crc``.
    """
    station = f"station {message.station_id}"
    crc = zlib.crc32(message.payload)
    if crc != message.payload_crc:
        raise MessageRefusedError(
            "payload_crc",
            f"payload of {station} has CRC {crc:08x}, its message says {message.payload_crc:08x}",
        )


def _decode(
    message: BevIndices, place: TilePlace | None, index_format: IndexFormat
) -> npt.NDArray[np.uint8] | None:
    """Return the indices of a message whose sizes have been checked; None for a parity tile.

    Raises:
        MessageRefusedError: ``encoding`` or ``payload``.
    """
    if place is None:
        return None
    station = f"station {message.station_id}"
    payload = memoryview(message.payload)
    try:
        _expect_encoding(message, (_ENCODINGS[payload_coding(payload)],))
        return index_format.frame.decode(place, payload)
    except WireError as error:
        raise MessageRefusedError("payload", f"payload of {station}: {error}") from error
