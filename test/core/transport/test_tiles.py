# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames cut into tiles: each fits, each can be decoded alone, and together they are the frame."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.core.coding.wire import HEADER_BYTES, EntropyModel, WireError
from quantv2x_ros.core.transport.tile_cutting import TileCutter, cut_tiles
from quantv2x_ros.core.transport.tiles import (
    CodedTile,
    IndexMapFormat,
    TilePlace,
    TileSettings,
)

Models = Callable[[int, int, int], IndexModel]
Indices = npt.NDArray[np.uint8]


def put_together(tiles: list[CodedTile], form: IndexMapFormat) -> tuple[Indices, Indices]:
    """The frame that tiles make, each decoded by itself, and how often each index came."""
    indices = np.zeros(form.shape, np.uint8)
    times = np.zeros(form.shape, np.uint8)
    for tile in tiles:
        at = (tile.place.planes(form.segments), *tile.place.cells)
        indices[at] = form.decode(tile.place, tile.payload)
        times[at] += 1
    return indices, times


@given(st.data())
def test_tiles_fit_and_hold_everything_once(index_model: Models, data: st.DataObject) -> None:
    levels, segments = data.draw(st.sampled_from([(1, 1), (3, 1), (2, 2)]))
    size = data.draw(st.sampled_from([2, 5, 128, 256]))
    model = index_model(levels * segments, size, 0) if data.draw(st.booleans()) else None
    rows, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 40))
    form = IndexMapFormat(EntropyModel(size, model), levels, segments, rows, columns)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    indices = generator.integers(0, size, form.shape).astype(np.uint8)
    background = generator.integers(0, size, levels * segments).astype(np.uint8)
    keep = generator.random((rows, columns)) < data.draw(st.floats(0, 1))
    indices = np.where(keep, indices, background[:, None, None]).astype(np.uint8)
    limit = data.draw(st.just(0) | st.integers(40, 600))
    settings = TileSettings(limit, data.draw(st.booleans()))
    tiles = cut_tiles(indices, form, settings, background)
    assert limit == 0 or max(len(tile.payload) for tile in tiles) <= limit
    found, times = put_together(tiles, form)
    np.testing.assert_array_equal(found, indices)
    assert (times == 1).all()
    order = [(tile.place.first_level, -tile.occupied) for tile in tiles]
    assert order == sorted(order)


@given(st.data())
def test_a_senders_tiles_hold_every_frame_with_a_pool_as_without(
    index_model: Models, data: st.DataObject
) -> None:
    """What is learned from frames changes how the next one is cut, never what it holds."""
    model = index_model(3, 16, 0)
    form = IndexMapFormat(EntropyModel(16, model), 3, 1, 20, 60)
    background = np.array(model.background)
    settings = TileSettings(data.draw(st.integers(60, 400)), data.draw(st.booleans()))
    alone = TileCutter(form, settings, background)
    with ThreadPoolExecutor(2) as pool:
        shared = TileCutter(form, settings, background, pool)
        for seed, share in data.draw(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)))):
            generator = np.random.default_rng(seed)
            codes = generator.integers(0, 16, form.shape).astype(np.uint8)
            keep = generator.random(form.shape[1:]) < share
            indices = np.where(keep, codes, background[:, None, None]).astype(np.uint8)
            tiles = shared.cut(indices)
            content = [(tile.place, tile.payload) for tile in alone.cut(indices)]
            assert [(tile.place, tile.payload) for tile in tiles] == content
            assert max(len(tile.payload) for tile in tiles) <= settings.max_payload_bytes
            found, times = put_together(tiles, form)
            np.testing.assert_array_equal(found, indices)
            assert (times == 1).all()


def test_a_sender_knows_from_the_first_frame_on_how_many_tiles_it_takes(
    index_model: Models,
) -> None:
    model = index_model(3, 16, 0)
    form = IndexMapFormat(EntropyModel(16, model), 3, 1, 40, 120)
    indices = np.random.default_rng(1).integers(0, 16, form.shape).astype(np.uint8)
    cutter = TileCutter(form, TileSettings(1398), np.array(model.background))
    whole = len(cut_tiles(indices, form, TileSettings(0), np.array(model.background))[0].payload)
    for _ in range(3):
        tiles = cutter.cut(indices)
        assert len(tiles) <= 1.15 * whole / 1398 + 1
        columns = sorted(tile.place.columns for tile in tiles)
        assert columns[0] > 0.5 * columns[-1], "none is a rest of one that did not fit"


def test_a_full_frame_after_empty_ones_takes_no_more_tiles_than_at_once(
    index_model: Models,
) -> None:
    model = index_model(3, 16, 0)
    form = IndexMapFormat(EntropyModel(16, model), 3, 1, 40, 120)
    background = np.array(model.background)
    empty = np.broadcast_to(background[:, None, None], form.shape).astype(np.uint8)
    full = empty.copy()
    full[:, :, 30:90] = np.random.default_rng(1).integers(0, 16, (3, 40, 60))
    for limit in (300, 1398, 20_000):
        at_once = TileCutter(form, TileSettings(limit), background)
        counts = [len(at_once.cut(full)) for _ in range(3)]
        later = TileCutter(form, TileSettings(limit), background)
        for indices in (empty, empty, full, empty, empty):
            later.cut(indices)
        assert len(later.cut(full)) <= max(counts) + 1


FORM = IndexMapFormat(EntropyModel(128), 3, 1, 40, 64)
BACKGROUND = np.array([1, 2, 3], np.uint8)


def scene(seed: int = 0) -> Indices:
    """A map with something in its left half only."""
    indices = np.empty(FORM.shape, np.uint8)
    indices[:] = BACKGROUND[:, None, None]
    indices[:, :, :32] = np.random.default_rng(seed).integers(0, 128, (3, 40, 32))
    return indices


def test_a_map_of_one_column_is_cut_by_rows() -> None:
    form = IndexMapFormat(EntropyModel(256), 3, 1, 60, 1)
    indices = np.random.default_rng(0).integers(0, 256, form.shape).astype(np.uint8)
    tiles = cut_tiles(indices, form, TileSettings(40), BACKGROUND)
    assert len(tiles) > 1
    np.testing.assert_array_equal(put_together(tiles, form)[0], indices)


def test_one_message_holds_all_where_no_limit_is_set() -> None:
    (tile,) = cut_tiles(scene(), FORM, TileSettings(0, coarse_first=True), BACKGROUND)
    assert tile.place == TilePlace(0, 3, 0, 40, 0, 64)


def test_coarse_levels_and_occupied_cells_come_first() -> None:
    tiles = cut_tiles(scene(), FORM, TileSettings(1398, coarse_first=True), BACKGROUND)
    levels = [tile.place.first_level for tile in tiles]
    assert levels == sorted(levels)
    assert set(levels) == {0, 1}
    coarse = [tile.place.first_column for tile in tiles if tile.place.first_level == 0]
    assert coarse[0] < 32 <= coarse[-1]


def test_only_the_levels_asked_for_are_coded() -> None:
    for coarse_first in (False, True):
        settings = TileSettings(1398, coarse_first)
        tiles = cut_tiles(scene(), FORM, settings, BACKGROUND, levels=2)
        assert max(t.place.first_level + t.place.levels for t in tiles) == 2


def test_bands_begin_where_coarse_cells_do() -> None:
    tiles = cut_tiles(scene(), FORM, TileSettings(1398), BACKGROUND)
    assert len(tiles) > 3
    assert {tile.place.first_column % 4 for tile in tiles} == {0}


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(WireError, match="indices have shape"):
        cut_tiles(scene()[:, :-1], FORM, TileSettings(), BACKGROUND)
    with pytest.raises(WireError, match="max_payload_bytes"):
        TileSettings(HEADER_BYTES)
    with pytest.raises(WireError, match="a single cell takes 9 bytes"):
        cut_tiles(scene(), FORM, TileSettings(8), BACKGROUND)
    with pytest.raises(WireError, match=r"needs \d+ tiles"):
        cut_tiles(scene(), FORM, TileSettings(9), BACKGROUND)


@pytest.mark.parametrize(
    "place",
    [
        TilePlace(0, 4, 0, 40, 0, 64),
        TilePlace(3, 1, 0, 40, 0, 64),
        TilePlace(0, 0, 0, 40, 0, 64),
        TilePlace(-1, 1, 0, 40, 0, 64),
        TilePlace(0, 3, 1, 40, 0, 64),
        TilePlace(0, 3, 0, 40, 64, 1),
        TilePlace(0, 3, 0, 65_535, 0, 65_535),
    ],
)
def test_places_outside_of_the_map_are_refused_before_anything_is_read(place: TilePlace) -> None:
    with pytest.raises(WireError, match="of a map with"):
        FORM.decode(place, b"")
