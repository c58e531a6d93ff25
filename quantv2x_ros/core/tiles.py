# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index maps cut into tiles that fit a packet; each can be decoded alone, and comes in its turn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.index_coder import column_bytes
from quantv2x_ros.core.wire import (
    HEADER_BYTES,
    IndexPrior,
    WireError,
    decode_indices,
    encode_indices,
    packed_size,
)

IndexArray = npt.NDArray[np.uint8]

#: Payload of a GeoNetworking packet, bytes.
GEONETWORKING_UNIT = 1398
#: Tiles of a frame, at most.
MAX_TILES = 1024
#: Bands begin at multiples of this many columns where they can, so that a lost one does not spoil
#: cells of the coarser pyramid levels beside it.
_ALIGNMENT = 4
#: Share of a packet that is planned for: bands know less of their neighbours than the whole does.
_FILL = 0.94
#: Numbers of bands that are tried before those that do not fit are halved.
_TRIES = 2


@dataclass(frozen=True)
class TilePlace:
    """What part of a frame a tile holds.

    Attributes:
        first_level: its coarsest level.
        levels: number of levels.
        first_row: its first row.
        rows: number of rows.
        first_column: its first column.
        columns: number of columns.
    """

    first_level: int
    levels: int
    first_row: int
    rows: int
    first_column: int
    columns: int

    def planes(self, segments: int) -> slice:
        """The planes that it holds, where each level has some segments."""
        return slice(self.first_level * segments, (self.first_level + self.levels) * segments)

    @property
    def cells(self) -> tuple[slice, slice]:
        """The rows and columns that it holds."""
        return (
            slice(self.first_row, self.first_row + self.rows),
            slice(self.first_column, self.first_column + self.columns),
        )

    def check(self, levels: int, rows: int, columns: int) -> None:
        """Check that it lies within a map.

        Raises:
            WireError: naming what does not.
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
class FrameFormat:
    """What sender and receiver of tiles have in common.

    Attributes:
        prior: of the codebook.
        levels: of the codebook.
        segments: of a level.
        rows: H of the map.
        columns: W of the map.
    """

    prior: IndexPrior
    levels: int
    segments: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        """Raise WireError for a map that no payload could hold."""
        packed_size(self.shape, self.prior)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, H, W) of an index map."""
        return (self.levels * self.segments, self.rows, self.columns)

    def tile_shape(self, place: TilePlace) -> tuple[int, int, int]:
        """(planes, rows, columns) of a tile's indices."""
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
        return decode_indices(payload, self.prior, self.tile_shape(place), first)


@dataclass(frozen=True)
class TileSettings:
    """How frames are cut.

    Attributes:
        max_payload_bytes: largest payload; 0 for one tile a frame, whatever its size.
        coarse_first: the coarsest level has tiles of its own, which come first; else tiles hold all
            levels of their cells, which takes fewer bytes.
    """

    max_payload_bytes: int = GEONETWORKING_UNIT
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
        payload: its bytes.
        occupied: cells of it that do not hold the background in all its levels.
    """

    place: TilePlace
    payload: bytes
    occupied: int


def cut_tiles(
    indices: IndexArray,
    form: FrameFormat,
    settings: TileSettings,
    background: IndexArray,
    levels: int = 0,
) -> list[CodedTile]:
    """Code a frame as tiles, the most important first.

    That is: coarse levels before fine ones, and among those, tiles with more occupied cells first.

    Args:
        indices: (planes, H, W) uint8.
        form: of the map.
        settings: how it is cut.
        background: (planes,) codes of empty cells.
        levels: how many levels are coded; 0 for all.

    Raises:
        WireError: for indices of another shape or outside of the codebook, or packets that hold
            not even a cell.
    """
    if indices.shape != form.shape:
        raise WireError(f"indices have shape {indices.shape}, expected {form.shape}")
    tiles: list[CodedTile] = []
    for first, count in settings.layers(levels or form.levels):
        layer = TilePlace(first, count, 0, form.rows, 0, form.columns)
        cutter = _Cutter(indices, form, settings.max_payload_bytes, background)
        cut = cutter.cut(layer)
        cut.sort(key=lambda tile: -tile.occupied)
        tiles += cut
    if len(tiles) > MAX_TILES:
        raise WireError(
            f"the frame needs {len(tiles)} tiles of {settings.max_payload_bytes} bytes, allowed "
            f"are {MAX_TILES}; set max_payload_bytes higher"
        )
    return tiles


class _Cutter:
    """Cuts one layer of a map into bands that fit."""

    def __init__(
        self, indices: IndexArray, form: FrameFormat, limit: int, background: IndexArray
    ) -> None:
        self._indices, self._form, self._limit = indices, form, limit
        self._background = background

    def cut(self, layer: TilePlace) -> list[CodedTile]:
        """Bands of columns that take about the same bytes."""
        if self._limit == 0:
            return [self._code(layer)]
        costs = self._costs(layer)
        count = max(1, int(np.ceil(costs.sum() / ((self._limit - HEADER_BYTES) * _FILL))))
        for more in range(_TRIES):
            bands = _bands(costs, count + more)
            tiles = [self._code(_columns(layer, first, last)) for first, last in bands]
            if max(len(tile.payload) for tile in tiles) <= self._limit:
                return tiles
        return [part for tile in tiles for part in self._fit(tile.place, costs)]

    def _costs(self, layer: TilePlace) -> npt.NDArray[np.float64]:
        """About how many bytes each column takes."""
        prior = self._form.prior
        planes = layer.planes(self._form.segments)
        if prior.model is None:
            bits = prior.bits * self._form.rows * (planes.stop - planes.start)
            return np.full(self._form.columns, bits / 8)
        spent = column_bytes(prior.model, self._indices[planes], planes.start).sum(axis=0)
        return spent.astype(np.float64)

    def _fit(self, place: TilePlace, costs: npt.NDArray[np.float64]) -> list[CodedTile]:
        """Code a band; halve it where it does not fit."""
        tile = self._code(place)
        if len(tile.payload) <= self._limit:
            return [tile]
        if place.columns > 1:
            start, stop = place.first_column, place.first_column + place.columns
            (_, middle), *_ = _bands(costs[start:stop], 2)
            halves = [
                _columns(place, start, start + middle),
                _columns(place, start + middle, stop),
            ]
        elif place.rows > 1:
            rows = place.rows // 2
            halves = [_rows(place, 0, rows), _rows(place, rows, place.rows)]
        else:
            raise WireError(
                f"a single cell takes {len(tile.payload)} bytes, more than the "
                f"{self._limit} of max_payload_bytes"
            )
        return [part for half in halves for part in self._fit(half, costs)]

    def _code(self, place: TilePlace) -> CodedTile:
        planes = place.planes(self._form.segments)
        part = np.ascontiguousarray(self._indices[(planes, *place.cells)])
        empty = self._background[planes, None, None]
        return CodedTile(
            place,
            encode_indices(part, self._form.prior, planes.start),
            int((part != empty).any(axis=0).sum()),
        )


def _columns(place: TilePlace, first: int, last: int) -> TilePlace:
    """The same levels and rows from column first to before last."""
    return TilePlace(
        place.first_level, place.levels, place.first_row, place.rows, first, last - first
    )


def _rows(place: TilePlace, first: int, last: int) -> TilePlace:
    """The rows from first to before last, counted within the place."""
    row = place.first_row + first
    return TilePlace(
        place.first_level, place.levels, row, last - first, place.first_column, place.columns
    )


def _bands(costs: npt.NDArray[np.float64], count: int) -> list[tuple[int, int]]:
    """First and last + 1 of up to count bands of columns with about the same cost each."""
    total = np.concatenate([[0.0], np.cumsum(costs + 1e-6)])
    shares = total[-1] * np.arange(1, count) / count
    edges = np.searchsorted(total, shares)
    columns = len(costs)
    if columns >= 2 * _ALIGNMENT * count:
        edges = (edges + _ALIGNMENT // 2) // _ALIGNMENT * _ALIGNMENT
    inner = {int(edge) for edge in edges if 0 < edge < columns}
    if count > 1 and columns > 1 and not inner:
        inner = {columns // 2}
    bounds = [0, *sorted(inner), columns]
    return list(pairwise(bounds))
