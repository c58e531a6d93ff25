# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of index maps: what part of a frame each holds, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import (
    HEADER_BYTES,
    EntropyModel,
    WireError,
    decode_indices,
    packed_size,
)
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT

IndexArray = npt.NDArray[np.uint8]

#: Tiles of a frame, at most.
MAX_TILES = 1024


@dataclass(frozen=True)
class TilePlace:
    """The levels and cells of a sweep that a tile holds.

    Attributes:
        first_level: the coarsest level.
        levels: number of levels.
        first_row: the first row.
        rows: number of rows.
        first_column: the first column.
        columns: number of columns.
    """

    first_level: int
    levels: int
    first_row: int
    rows: int
    first_column: int
    columns: int

    def planes(self, segments: int) -> slice:
        """Return the planes of the tile, with so many segments a level."""
        return slice(self.first_level * segments, (self.first_level + self.levels) * segments)

    @property
    def cells(self) -> tuple[slice, slice]:
        """Rows and columns of the tile."""
        return (
            slice(self.first_row, self.first_row + self.rows),
            slice(self.first_column, self.first_column + self.columns),
        )

    def columns_between(self, first: int, last: int) -> TilePlace:
        """Return the part of the tile from its column first to before last."""
        column = self.first_column + first
        return TilePlace(
            self.first_level, self.levels, self.first_row, self.rows, column, last - first
        )

    def rows_between(self, first: int, last: int) -> TilePlace:
        """Return the part of the tile from its row first to before last."""
        row = self.first_row + first
        return TilePlace(
            self.first_level, self.levels, row, last - first, self.first_column, self.columns
        )

    def check(self, levels: int, rows: int, columns: int) -> None:
        """Check that the tile lies within a map.

        Args:
            levels: levels of the map.
            rows: rows of the map.
            columns: columns of the map.

        Raises:
            WireError: naming levels, rows or columns that do not.
        """
        for name, first, count, size in (
            ("levels", self.first_level, self.levels, levels),
            ("rows", self.first_row, self.rows, rows),
            ("columns", self.first_column, self.columns, columns),
        ):
            if not (first >= 0 and count >= 1 and first + count <= size):
                raise WireError(
                    f"a tile holds {name} {first} to {first + count - 1} of a map with {size} "
                    f"{name}"
                )


@dataclass(frozen=True)
class IndexMapFormat:
    """Format of an index map, which sender and receiver of tiles share.

    Attributes:
        entropy_model: entropy model of the indices.
        levels: residual levels of the codebook.
        segments: segments of a level.
        rows: rows H of the map.
        columns: columns W of the map.
    """

    entropy_model: EntropyModel
    levels: int
    segments: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        """Raise WireError for a map that no payload could hold."""
        packed_size(self.shape, self.entropy_model)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (planes, H, W) of an index map."""
        return (self.levels * self.segments, self.rows, self.columns)

    def tile_shape(self, place: TilePlace) -> tuple[int, int, int]:
        """Return the shape (planes, rows, columns) of a tile's indices."""
        return (place.levels * self.segments, place.rows, place.columns)

    def decode(
        self, place: TilePlace, payload: bytes | bytearray | memoryview
    ) -> npt.NDArray[np.uint8]:
        """Check a tile's place and decode its payload, (planes, rows, columns).

        Raises:
            WireError: for a place outside of the map, or a payload that is damaged.
        """
        place.check(self.levels, self.rows, self.columns)
        first = place.first_level * self.segments
        return decode_indices(payload, self.entropy_model, self.tile_shape(place), first)


@dataclass(frozen=True)
class TileSettings:
    """Settings of how index maps are cut into tiles.

    Attributes:
        max_payload_bytes: largest payload; 0 for one tile a frame, whatever its size. By default, a
            packet with its header and signature fills a frame of GeoNetworking.
        coarse_first: the coarsest level has tiles of its own, which come first; else tiles hold all
            levels of their cells, which takes fewer bytes.
    """

    max_payload_bytes: int = GEONETWORKING_UNIT - FIELD_BYTES
    coarse_first: bool = False

    def __post_init__(self) -> None:
        """Raise WireError for a size that no tile fits into."""
        if self.max_payload_bytes < 0 or 0 < self.max_payload_bytes <= HEADER_BYTES:
            raise WireError(
                f"max_payload_bytes must be 0 or more than {HEADER_BYTES}, got "
                f"{self.max_payload_bytes}"
            )

    def layers(self, levels: int) -> list[tuple[int, int]]:
        """First level and number of levels of each layer, the most important first."""
        if not self.coarse_first or levels == 1 or self.max_payload_bytes == 0:
            return [(0, levels)]
        return [(0, 1), (1, levels - 1)]


@dataclass(frozen=True, eq=False)
class CodedTile:
    """A tile to send.

    Attributes:
        place: what it holds.
        payload: the payload's bytes.
        occupied: cells of it that do not hold the background in all its levels.
    """

    place: TilePlace
    payload: bytes
    occupied: int

    @property
    def body_bytes(self) -> int:
        """Bytes of the payload without its header."""
        return len(self.payload) - HEADER_BYTES
