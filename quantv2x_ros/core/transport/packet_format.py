# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The id of all that stations must share to read each other's packets."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.transport.tiles import IndexMapFormat

_VALUES = struct.Struct("<QHHiiii")


def format_id(codebook_id: int, grid: BevGrid, map_frame: str) -> int:
    """Return the id, 64 bits.

    It is the first 64 bits (little endian) of the SHA-256 of, little endian, the codebook's id
    (uint64), rows and columns of the map (uint16), a cell's edges along x and y and the corner of
    cell (0, 0) in x and y (int32, millimetres), and the map frame's name (UTF-8).

    Args:
        codebook_id: of the codebook and the entropy coder's model.
        grid: that the model's map covers.
        map_frame: name of the frame that all poses are in.
    """
    rows, columns = grid.shape
    size_y, size_x = grid.cell_size
    metres = (size_x, size_y, grid.lidar_range[0], grid.lidar_range[1])
    values = _VALUES.pack(codebook_id, rows, columns, *(round(1000 * value) for value in metres))
    digest = hashlib.sha256(values + map_frame.encode()).digest()
    return int.from_bytes(digest[:8], "little")


@dataclass(frozen=True)
class PacketFormat:
    """What a station must know to read packets.

    Attributes:
        maps: format of the index maps.
        id: see `format_id`.
    """

    maps: IndexMapFormat
    id: int
