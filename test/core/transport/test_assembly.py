# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles to frames: any order, holes, levels that did not come, and tiles that do not fit."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.assembly import MAX_OPEN_FRAMES, AssemblyError, SweepAssembler
from quantv2x_ros.core.transport.tiles import MAX_TILES, TilePlace

SHAPE = (2, 10, 4)
BACKGROUND = np.array([7, 9], np.uint8)
FRAME = np.random.default_rng(0).integers(0, 128, SHAPE).astype(np.uint8)
WHOLE = TilePlace(0, 2, 0, 10, 0, 4)
UPPER, LOWER = TilePlace(0, 2, 0, 5, 0, 4), TilePlace(0, 2, 5, 5, 0, 4)


@pytest.fixture
def assembler() -> SweepAssembler:
    return SweepAssembler(SHAPE, 2, BACKGROUND)


def part(place: TilePlace) -> npt.NDArray[np.uint8]:
    return FRAME[(place.planes(1), *place.cells)]


def add(assembler: SweepAssembler, key: int, tile: int, count: int, place: TilePlace) -> object:
    return assembler.add(key, tile, count, place, part(place))


def test_a_frame_in_one_tile_is_complete_at_once(assembler: SweepAssembler) -> None:
    frame = assembler.add(5, 0, 1, WHOLE, FRAME)
    assert frame is not None
    assert frame.complete
    assert frame.key == 5
    assert frame.received.all()
    np.testing.assert_array_equal(frame.indices, FRAME)


def grid_of_places(rows: Sequence[int], columns: Sequence[int], levels: int) -> list[TilePlace]:
    edges = [0, *sorted(rows), 10], [0, *sorted(columns), 4]
    return [
        TilePlace(level, 2 // levels, top, bottom - top, left, right - left)
        for level in range(levels)
        for top, bottom in zip(edges[0], edges[0][1:], strict=False)
        for left, right in zip(edges[1], edges[1][1:], strict=False)
    ]


@given(
    st.sets(st.integers(1, 9), max_size=4),
    st.sets(st.integers(1, 3)),
    st.integers(1, 2),
    st.integers(0, 2**32),
)
def test_tiles_of_any_shape_come_together_in_any_order(
    rows: set[int], columns: set[int], levels: int, seed: int
) -> None:
    places = grid_of_places(sorted(rows), sorted(columns), levels)
    order = list(enumerate(places))
    random.Random(seed).shuffle(order)
    assembler = SweepAssembler(SHAPE, 2, BACKGROUND)
    results = [assembler.add(1, i, len(places), place, part(place)) for i, place in order]
    assert results[:-1] == [None] * (len(places) - 1)
    assert results[-1] is not None
    assert results[-1].received.all()
    np.testing.assert_array_equal(results[-1].indices, FRAME)
    assert assembler.take_partial() is None


def test_a_partial_frame_has_background_in_its_holes(assembler: SweepAssembler) -> None:
    add(assembler, 1, 0, 3, TilePlace(0, 2, 0, 4, 0, 4))
    add(assembler, 1, 2, 3, TilePlace(0, 2, 8, 2, 1, 3))
    assert assembler.missing(1, 3) == [1]
    frame = assembler.take_partial()
    assert frame is not None
    assert not frame.complete
    wanted = np.zeros((10, 4), bool)
    wanted[:4] = wanted[8:, 1:] = True
    np.testing.assert_array_equal(frame.received, wanted)
    np.testing.assert_array_equal(frame.indices[:, wanted], FRAME[:, wanted])
    assert (frame.indices[:, ~wanted] == BACKGROUND[:, None]).all()


def test_a_fine_level_that_did_not_come_leaves_the_coarse_one(assembler: SweepAssembler) -> None:
    add(assembler, 1, 0, 3, TilePlace(0, 1, 0, 10, 0, 4))
    add(assembler, 1, 1, 3, TilePlace(1, 1, 0, 5, 0, 4))
    frame = assembler.take_partial(1)
    assert frame is not None
    assert frame.received.all()
    np.testing.assert_array_equal(frame.indices[0], FRAME[0])
    np.testing.assert_array_equal(frame.indices[1, :5], FRAME[1, :5])
    assert (frame.indices[1, 5:] == BACKGROUND[1]).all()


def test_a_fine_level_without_its_coarse_one_is_nothing(assembler: SweepAssembler) -> None:
    add(assembler, 1, 1, 2, TilePlace(1, 1, 0, 10, 0, 4))
    frame = assembler.take_partial(1)
    assert frame is not None
    assert not frame.received.any()
    assert (frame.indices == BACKGROUND[:, None, None]).all()


def test_what_the_sender_left_out_is_not_waited_for(assembler: SweepAssembler) -> None:
    frame = add(assembler, 1, 0, 1, UPPER)
    assert frame is not None
    assert frame.complete  # type: ignore[attr-defined]
    assert frame.received.sum() == 20  # type: ignore[attr-defined]


def test_two_frames_can_be_open_and_the_newest_is_taken_first(assembler: SweepAssembler) -> None:
    add(assembler, 1, 0, 2, UPPER)
    add(assembler, 2, 1, 2, LOWER)
    newest = assembler.take_partial()
    assert newest is not None
    assert newest.key == 2
    completed = assembler.add(1, 1, 2, LOWER, part(LOWER))
    assert completed is not None
    assert completed.key == 1
    assert assembler.take_partial(1) is None
    assert assembler.abandoned == 0


def test_memory_is_bounded_whatever_frames_are_begun(assembler: SweepAssembler) -> None:
    for key in range(1000):
        assert add(assembler, key, 0, 2, UPPER) is None
    assert assembler.abandoned == 1000 - MAX_OPEN_FRAMES
    assert [assembler.take_partial() is not None for _ in range(3)] == [True, True, False]


def _reason(assembler: SweepAssembler, *tile: object) -> str:
    with pytest.raises(AssemblyError) as caught:
        assembler.add(*tile)  # type: ignore[arg-type]
    return caught.value.reason


def test_tiles_of_closed_frames_are_late(assembler: SweepAssembler) -> None:
    add(assembler, 1, 0, 1, WHOLE)
    assert _reason(assembler, 1, 0, 1, WHOLE, FRAME) == "late"
    add(assembler, 2, 0, 2, UPPER)
    assembler.take_partial(2)
    assert _reason(assembler, 2, 1, 2, LOWER, part(LOWER)) == "late"


def test_tiles_that_do_not_fit_their_frame_are_refused_and_change_nothing(
    assembler: SweepAssembler,
) -> None:
    add(assembler, 1, 0, 2, UPPER)
    other = np.zeros((2, 5, 4), np.uint8)
    assert _reason(assembler, 1, 0, 2, LOWER, other) == "duplicate"
    assert _reason(assembler, 1, 1, 2, UPPER, other) == "overlap"
    fine = TilePlace(1, 1, 4, 5, 0, 4)
    assert _reason(assembler, 1, 1, 2, fine, other[:1]) == "overlap"
    assert _reason(assembler, 1, 1, 3, LOWER, other) == "tile_count"
    frame = assembler.add(1, 1, 2, LOWER, part(LOWER))
    assert frame is not None
    np.testing.assert_array_equal(frame.indices, FRAME)


@pytest.mark.parametrize(
    ("tile", "reason"),
    [
        ((0, 0, WHOLE, FRAME), "tile_count"),
        ((0, -1, WHOLE, FRAME), "tile_count"),
        ((0, MAX_TILES + 1, WHOLE, FRAME), "tile_count"),
        ((2, 2, UPPER, FRAME[:, :5]), "tile"),
        ((-1, 2, UPPER, FRAME[:, :5]), "tile"),
        ((0, 2, TilePlace(0, 2, -1, 5, 0, 4), FRAME[:, :5]), "place"),
        ((0, 2, TilePlace(0, 2, 6, 5, 0, 4), FRAME[:, :5]), "place"),
        ((0, 2, TilePlace(0, 2, 60_000, 5, 0, 4), FRAME[:, :5]), "place"),
        ((0, 2, TilePlace(1, 2, 0, 5, 0, 4), FRAME[:, :5]), "place"),
        ((0, 2, TilePlace(0, 2, 0, 5, 1, 4), FRAME[:, :5]), "place"),
        ((0, 2, TilePlace(0, 2, 0, 0, 0, 4), FRAME[:, :0]), "place"),
        ((0, 2, UPPER, FRAME[:1, :5]), "shape"),
        ((0, 2, UPPER, FRAME[:, :5, :3]), "shape"),
        ((0, 2, UPPER, FRAME[0]), "shape"),
        ((0, 2, UPPER, FRAME[:, :5].astype(np.int64)), "shape"),
    ],
)
def test_impossible_tiles_are_refused_and_open_no_frame(
    assembler: SweepAssembler,
    tile: tuple[int, int, TilePlace, npt.NDArray[np.uint8]],
    reason: str,
) -> None:
    assert _reason(assembler, 1, *tile) == reason
    assert assembler.take_partial() is None


def test_an_assembler_needs_a_shape_and_its_background() -> None:
    with pytest.raises(ValueError, match="shape"):
        SweepAssembler((2, 0, 4), 2, BACKGROUND)
    with pytest.raises(ValueError, match="planes for 3 levels"):
        SweepAssembler(SHAPE, 3, BACKGROUND)
    with pytest.raises(ValueError, match="background must be uint8"):
        SweepAssembler(SHAPE, 2, np.zeros(3, np.uint8))


def test_frames_do_not_share_memory(assembler: SweepAssembler) -> None:
    first = assembler.add(1, 0, 1, WHOLE, FRAME)
    second = assembler.add(2, 0, 1, WHOLE, FRAME)
    assert first is not None
    assert second is not None
    first.indices[:] = 0
    np.testing.assert_array_equal(second.indices, FRAME)
