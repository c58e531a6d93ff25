# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps to ``BevIndices`` and back. A received message is an attack until it is checked."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.sweep import Tile
from quantv2x_ros.core.wire import (
    IndexPrior,
    WireError,
    decode_indices,
    encode_indices,
    packed_size,
)
from quantv2x_ros.nodes.conversions import MessageRefusedError, nanoseconds, pose_from_message
from quantv2x_ros.nodes.index_format import IndexFormat


def tile_from_message(
    message: BevIndices,
    index_format: IndexFormat,
    map_frame: str,
    latest_stamp_ns: int,
    admit: Callable[[BevIndices], None] = lambda message: None,
) -> Tile:
    """Check everything in a received message, then decode it.

    Args:
        message: as received.
        index_format: this station's own.
        map_frame: name of this station's map frame.
        latest_stamp_ns: newest stamp that is believed, nanoseconds.
        admit: checks what costs more, such as a signature, after all else and before decoding;
            what it raises is passed on.

    Raises:
        MessageRefusedError: naming what is wrong, with both values.
    """
    station = f"station {message.station_id}"
    if message.encoding != BevIndices.ENCODING_BIT_PACKED:
        raise MessageRefusedError(
            "encoding",
            f"{station} uses encoding {message.encoding}, known is "
            f"{BevIndices.ENCODING_BIT_PACKED} (bit-packed)",
        )
    index_format.check(message)
    _check_place(message, index_format)
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
            f"{latest_stamp_ns / 1e9:.3f} s, now and the tolerance; check the clocks",
        )
    pose = pose_from_message(message.sensor_pose, station)
    _check_crc(message)
    admit(message)
    return Tile(
        station_id=message.station_id,
        sequence=message.sequence,
        stamp_ns=stamp_ns,
        frame_id=message.header.frame_id,
        pose=pose,
        first_row=message.first_row,
        tile_index=message.tile_index,
        tile_count=message.tile_count,
        indices=_decode(message, index_format),
        payload_bytes=len(message.payload),
    )


def messages_from_indices(
    indices: npt.NDArray[np.uint8],
    index_format: IndexFormat,
    prior: IndexPrior,
    template: BevIndices,
    tiles: int = 1,
) -> list[BevIndices]:
    """Encode a map as one message a band of rows.

    Args:
        indices: (planes, H, W) uint8.
        index_format: of the map.
        prior: of the coder.
        template: holds header, station, sequence and pose.
        tiles: number of messages.
    """
    messages = []
    bands = np.array_split(np.arange(index_format.rows), tiles)
    for number, band in enumerate(bands):
        payload = encode_indices(np.ascontiguousarray(indices[:, band[0] : band[-1] + 1]), prior)
        message = BevIndices(
            header=template.header,
            station_id=template.station_id,
            sequence=template.sequence,
            map_frame=template.map_frame,
            sensor_pose=template.sensor_pose,
            first_level=0,
            tile_levels=index_format.levels,
            first_row=int(band[0]),
            tile_rows=len(band),
            first_column=0,
            tile_columns=index_format.columns,
            tile_index=number,
            tile_count=tiles,
            parity_count=0,
            sent_levels=index_format.levels,
            omitted_cells=0,
            encoding=BevIndices.ENCODING_BIT_PACKED,
            payload_crc=zlib.crc32(payload),
        )
        index_format.fill(message)
        message.payload = array("B", payload)  # the form that rclpy takes without a loop
        messages.append(message)
    return messages


def _check_place(message: BevIndices, index_format: IndexFormat) -> None:
    """Check where a tile lies and how large its payload is.

    Raises:
        MessageRefusedError: ``tiles`` or ``payload_size``.
    """
    first, rows = message.first_row, message.tile_rows
    number, count = message.tile_index, message.tile_count
    if not (1 <= count <= index_format.rows and number < count):
        raise MessageRefusedError(
            "tiles",
            f"station {message.station_id} sent tile {number} of {count}, allowed are 1 to "
            f"{index_format.rows} tiles, counted from 0",
        )
    if rows < 1 or first + rows > index_format.rows:
        raise MessageRefusedError(
            "tiles",
            f"station {message.station_id} sent rows {first} to {first + rows - 1} of a map of "
            f"{index_format.rows} rows",
        )
    place = (message.first_level, message.tile_levels, message.first_column, message.tile_columns)
    whole = (0, index_format.levels, 0, index_format.columns)
    if place != whole:
        raise MessageRefusedError(
            "tiles",
            f"station {message.station_id} sent first level, levels, first column, columns {place} "
            f"in a tile, allowed are {whole}",
        )
    shape = (index_format.planes, rows, index_format.columns)
    size, limit = len(message.payload), packed_size(shape, IndexPrior(index_format.dict_size))
    if size > limit:
        raise MessageRefusedError(
            "payload_size",
            f"station {message.station_id} sent {size} bytes for {rows} rows, allowed are {limit}",
        )


def _check_crc(message: BevIndices) -> None:
    """Check the payload's checksum.

    Raises:
        MessageRefusedError: ``payload_crc``.
    """
    crc = zlib.crc32(message.payload)
    if crc != message.payload_crc:
        raise MessageRefusedError(
            "payload_crc",
            f"payload of station {message.station_id} has CRC {crc:08x}, its message says "
            f"{message.payload_crc:08x}",
        )


def _decode(message: BevIndices, index_format: IndexFormat) -> npt.NDArray[np.uint8]:
    """Return the indices (planes, tile rows, W) of a message whose sizes have been checked.

    Raises:
        MessageRefusedError: ``payload``.
    """
    shape = (index_format.planes, message.tile_rows, index_format.columns)
    try:
        return decode_indices(
            memoryview(message.payload), IndexPrior(index_format.dict_size), shape
        )
    except WireError as error:
        raise MessageRefusedError(
            "payload", f"payload of station {message.station_id}: {error}"
        ) from error
