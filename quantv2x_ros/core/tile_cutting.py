# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts index maps into tiles that fit a packet; each can be decoded alone, in any order."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.tiles import (
    MAX_TILES,
    CodedTile,
    FrameFormat,
    TilePlace,
    TileSettings,
)
from quantv2x_ros.core.wire import HEADER_BYTES, WireError, encode_indices

IndexArray = npt.NDArray[np.uint8]

#: Bands begin at multiples of this many columns where they can, so that a lost one does not spoil
#: cells of the coarser pyramid levels beside it.
_ALIGNMENT = 4
#: Share of a packet that is planned for: what a band takes is known when it is coded only.
_FILL = 0.91
#: What a code costs that differs from those before it in its row and its column, bytes; as the
#: default bundle's model codes them. Only a frame's first band is planned with it: the later ones
#: know what those before them took.
_SURPRISE_BYTES = 0.52


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
        cut = _Cutter(indices, form, settings.max_payload_bytes, background).cut(layer)
        cut.sort(key=lambda tile: -tile.occupied)
        tiles += cut
    if len(tiles) > MAX_TILES:
        raise WireError(
            f"the frame needs {len(tiles)} tiles of {settings.max_payload_bytes} bytes, allowed "
            f"are {MAX_TILES}; set max_payload_bytes higher"
        )
    return tiles


class _Cutter:
    """Cuts one layer of a map into bands of columns that fit, from the first column on."""

    def __init__(
        self, indices: IndexArray, form: FrameFormat, limit: int, background: IndexArray
    ) -> None:
        self._indices, self._form, self._limit = indices, form, limit
        self._background = background

    def cut(self, layer: TilePlace) -> list[CodedTile]:
        """Bands that take about the same bytes each."""
        if self._limit == 0:
            return [self._code(layer)]
        costs = self._costs(layer)
        tiles: list[CodedTile] = []
        first, planned, taken = 0, 0.0, 0.0
        while first < layer.columns:
            scale = taken / planned if planned else 1.0
            width = self._width(costs[first:] * scale)
            band = self._band(layer.columns_between(first, layer.columns), width)
            tiles += band
            done = first + sum(t.place.columns for t in band if t.place.first_row == 0)
            planned += costs[first:done].sum()
            taken += sum(len(tile.payload) - HEADER_BYTES for tile in band)
            first = done
        return tiles

    def _costs(self, layer: TilePlace) -> npt.NDArray[np.float64]:
        """About how many bytes each column takes; above 0."""
        prior = self._form.prior
        planes = layer.planes(self._form.segments)
        if prior.model is None:
            bits = prior.bits * layer.rows * layer.levels * self._form.segments
            return np.full(layer.columns, bits / 8)
        surprises = _surprises(np.ascontiguousarray(self._indices[planes]))
        return surprises * _SURPRISE_BYTES + 1e-3

    def _width(self, costs: npt.NDArray[np.float64]) -> int:
        """Columns of the next band, so that the bands to come are alike."""
        total = np.cumsum(costs)
        count = max(1, math.ceil(total[-1] / ((self._limit - HEADER_BYTES) * _FILL)))
        if count == 1:
            return len(costs)
        return _aligned(int(np.searchsorted(total, total[-1] / count)) + 1)

    def _band(self, rest: TilePlace, width: int) -> list[CodedTile]:
        """Code the first columns of what is left; fewer where they do not fit."""
        while True:
            tile = self._code(rest.columns_between(0, min(width, rest.columns)))
            size = len(tile.payload)
            if size <= self._limit:
                return [tile]
            width = tile.place.columns
            if width == 1:
                return self._rows(tile)
            smaller = int(width * (self._limit * _FILL) / size)
            width = max(1, min(_aligned(smaller), width - 1))

    def _rows(self, column: CodedTile) -> list[CodedTile]:
        """Halve a tile of one column until its parts fit."""
        if len(column.payload) <= self._limit:
            return [column]
        place = column.place
        if place.rows == 1:
            raise WireError(
                f"a single cell takes {len(column.payload)} bytes, more than the "
                f"{self._limit} of max_payload_bytes"
            )
        middle = place.rows // 2
        halves = (place.rows_between(0, middle), place.rows_between(middle, place.rows))
        return [part for half in halves for part in self._rows(self._code(half))]

    def _code(self, place: TilePlace) -> CodedTile:
        planes = place.planes(self._form.segments)
        part = np.ascontiguousarray(self._indices[(planes, *place.cells)])
        empty = self._background[planes, None, None]
        return CodedTile(
            place,
            encode_indices(part, self._form.prior, planes.start),
            int((part != empty).any(axis=0).sum()),
        )


def _aligned(columns: int) -> int:
    """The nearest number of columns that ends where a coarse cell does, if it is not the first."""
    if columns < 2 * _ALIGNMENT:
        return max(1, columns)
    return (columns + _ALIGNMENT // 2) // _ALIGNMENT * _ALIGNMENT


@njit(cache=True, nogil=True)
def _surprises(indices: IndexArray) -> npt.NDArray[np.float64]:
    """Codes of each column that differ from those before them in their row and in their column.

    Their number tells the bytes that a column takes to within a tenth: what repeats a neighbour
    costs next to nothing.
    """
    planes, rows, columns = indices.shape
    counts = np.zeros(columns, np.float64)
    for plane in range(planes):
        for row in range(rows):
            for column in range(columns):
                code = indices[plane, row, column]
                above = row > 0 and indices[plane, row - 1, column] == code
                before = column > 0 and indices[plane, row, column - 1] == code
                counts[column] += not (above or before)
    return counts
