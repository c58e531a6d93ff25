# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cuts index maps into tiles that fit a packet; each can be decoded alone, in any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import HEADER_BYTES, WireError, encode_indices
from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.transport.tiles import (
    MAX_TILES,
    CodedTile,
    IndexMapFormat,
    TilePlace,
    TileSettings,
)

IndexArray = npt.NDArray[np.uint8]
Costs = npt.NDArray[np.float64]

#: Bands begin at multiples of this many columns where they can, so that a lost one does not spoil
#: cells of the coarser pyramid scales beside it.
_ALIGNMENT = 4
#: Share of a packet that is planned for: what a band takes is known when it is coded only.
_FILL = 0.91
#: How much a frame counts for the plan of the next one.
_LEARNING = 0.5


def cut_tiles(
    indices: IndexArray,
    form: IndexMapFormat,
    settings: TileSettings,
    background: IndexArray,
    levels: int = 0,
) -> list[CodedTile]:
    """Code one frame as tiles; see `TileCutter.cut`."""
    return TileCutter(form, settings, background).cut(indices, levels)


class TileCutter:
    """Codes a sender's frames as tiles; from each it learns what the next one will take."""

    def __init__(
        self,
        form: IndexMapFormat,
        settings: TileSettings,
        background: IndexArray,
        pool: Executor | None = None,
    ) -> None:
        """Prepare.

        Args:
            form: format of the index maps.
            settings: how they are cut.
            background: (planes,) codes of empty cells.
            pool: codes tiles beside the caller's thread; None to code them one after the other.
        """
        self._form, self._settings = form, settings
        self._coder = _Coder(form, settings.max_payload_bytes, background)
        self._pool = pool
        self._scales: dict[tuple[int, int], float] = {}

    def cut(self, indices: IndexArray, levels: int = 0) -> list[CodedTile]:
        """Code a frame, the most important tiles first.

        That is: coarse levels before fine ones, and among those, tiles with more occupied cells
        first.

        Args:
            indices: (planes, H, W) uint8.
            levels: how many levels are coded; 0 for all.

        Raises:
            WireError: for indices of another shape or outside of the codebook, or packets that
                hold not even a cell.
        """
        form, limit = self._form, self._settings.max_payload_bytes
        if indices.shape != form.shape:
            raise WireError(f"indices have shape {indices.shape}, expected {form.shape}")
        tiles: list[CodedTile] = []
        for first, count in self._settings.layers(levels or form.levels):
            layer = TilePlace(first, count, 0, form.rows, 0, form.columns)
            cut = self._layer(indices, layer) if limit else [self._coder.code(indices, layer)]
            cut.sort(key=lambda tile: -tile.occupied)
            tiles += cut
        if len(tiles) > MAX_TILES:
            raise WireError(
                f"the frame needs {len(tiles)} tiles of {limit} bytes, allowed are {MAX_TILES}; "
                "set max_payload_bytes higher"
            )
        return tiles

    def cost(self, indices: IndexArray, levels: int) -> float:
        """Return what a frame's coarsest levels cost, in a unit that all frames share: fast."""
        layer = TilePlace(0, levels, 0, self._form.rows, 0, self._form.columns)
        return float(self._coder.costs(indices, layer).sum())

    def _layer(self, indices: IndexArray, layer: TilePlace) -> list[CodedTile]:
        """Cut a layer into bands of columns of about equal bytes."""
        key = layer.first_level, layer.levels
        costs = self._coder.costs(indices, layer)
        if key not in self._scales:  # coded as a whole first, to know
            whole = self._coder.code(indices, layer)
            if len(whole.payload) <= self._settings.max_payload_bytes:
                return [whole]
            self._scales[key] = whole.body_bytes / costs.sum()
        scale = self._scales[key]
        edges = _shares(costs, self._coder.packets(costs.sum() * scale))
        parts = [layer.columns_between(*edge) for edge in pairwise(edges)]
        planned = [costs[start:end] for start, end in pairwise(edges)]
        cut = self._map(partial(self._coder.fitting, indices), parts, planned)
        tiles = [tile for band in cut for tile in band]
        if len(tiles) > 1:  # a nearly empty frame tells nothing of a full one
            taken = sum(tile.body_bytes for tile in tiles) / costs.sum()
            self._scales[key] = scale + _LEARNING * (taken - scale)
        return tiles

    def _map(
        self, cut: Callable[[TilePlace, Costs], list[CodedTile]], *each: Sequence[Any]
    ) -> Iterable[list[CodedTile]]:
        """Cut parts, all but the first in the pool."""
        if self._pool is None:
            return map(cut, *each)
        first, *rest = zip(*each, strict=True)
        coming = [self._pool.submit(cut, *part) for part in rest]
        return [cut(*first), *(future.result() for future in coming)]


class _Coder:
    """Codes parts of maps such that each tile fits a packet."""

    def __init__(self, form: IndexMapFormat, limit: int, background: IndexArray) -> None:
        self._form, self._limit, self._background = form, limit, background

    def packets(self, size: float) -> int:
        """Packets that so many bytes take, at least 1."""
        return max(1, math.ceil(size / ((self._limit - HEADER_BYTES) * _FILL)))

    def fitting(self, indices: IndexArray, part: TilePlace, costs: Costs) -> list[CodedTile]:
        """Code a part as one tile; where it does not fit, as several.

        Args:
            indices: (planes, H, W) uint8.
            part: columns of a layer.
            costs: cost of each of those columns.
        """
        tile = self.code(indices, part)
        size = len(tile.payload)
        if size <= self._limit:
            return [tile]
        costs = costs * (tile.body_bytes / costs.sum())
        tiles: list[CodedTile] = []
        first = 0
        while first < part.columns:
            rest = costs[first:]
            width = _shares(rest, self.packets(rest.sum()))[1]
            band = self._band(indices, part.columns_between(first, part.columns), width)
            tiles += band
            first += sum(t.place.columns for t in band if t.place.first_row == part.first_row)
        return tiles

    def costs(self, indices: IndexArray, layer: TilePlace) -> Costs:
        """What each column takes, in a unit that the frames of a sender share; above 0."""
        planes = layer.planes(self._form.segments)
        if self._form.entropy_model.model is None:  # bit-packed: all alike
            return np.ones(layer.columns)
        return _surprises(np.ascontiguousarray(indices[planes])) + 1e-3

    def _band(self, indices: IndexArray, rest: TilePlace, width: int) -> list[CodedTile]:
        """Code the first columns of what is left; fewer where they do not fit."""
        while True:
            tile = self.code(indices, rest.columns_between(0, min(width, rest.columns)))
            size = len(tile.payload)
            if size <= self._limit:
                return [tile]
            width = tile.place.columns
            if width == 1:
                return self._rows(indices, tile)
            smaller = int(width * (self._limit * _FILL) / size)
            width = max(1, min(_aligned(smaller), width - 1))

    def _rows(self, indices: IndexArray, column: CodedTile) -> list[CodedTile]:
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
        return [part for half in halves for part in self._rows(indices, self.code(indices, half))]

    def code(self, indices: IndexArray, place: TilePlace) -> CodedTile:
        """Code a part as one tile, of whatever size."""
        planes = place.planes(self._form.segments)
        part = np.ascontiguousarray(indices[(planes, *place.cells)])
        empty = self._background[planes, None, None]
        return CodedTile(
            place,
            encode_indices(part, self._form.entropy_model, planes.start),
            int((part != empty).any(axis=0).sum()),
        )


def _shares(costs: Costs, count: int) -> list[int]:
    """Where so many parts of columns end that cost about the same each, from 0 on; fewer of few."""
    total = np.cumsum(costs)
    edges = [0]
    for number in range(1, count):
        reached = int(np.searchsorted(total, total[-1] * number / count)) + 1
        edge = edges[-1] + _aligned(reached - edges[-1])
        if edge >= len(costs):
            break
        edges.append(edge)
    return [*edges, len(costs)]


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
