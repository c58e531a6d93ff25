# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles to frames: any order, holes, and tiles that do not fit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.assembly import MAX_OPEN_FRAMES, AssemblyError, FrameAssembler

SHAPE = (2, 10, 4)
BACKGROUND = np.array([7, 9], np.uint8)
FRAME = np.random.default_rng(0).integers(0, 128, SHAPE).astype(np.uint8)


@pytest.fixture
def assembler() -> FrameAssembler:
    return FrameAssembler(SHAPE, BACKGROUND)


def _band(first: int, last: int) -> npt.NDArray[np.uint8]:
    return FRAME[:, first : last + 1]


def test_a_frame_in_one_tile_is_complete_at_once(assembler: FrameAssembler) -> None:
    frame = assembler.add(5, 0, 1, 0, FRAME)
    assert frame is not None
    assert frame.complete
    assert frame.key == 5
    np.testing.assert_array_equal(frame.indices, FRAME)


@given(st.sets(st.integers(1, 9)), st.randoms(use_true_random=False))
def test_bands_of_any_height_come_together_in_any_order(cuts: set[int], random: object) -> None:
    edges = [0, *sorted(cuts), 10]
    tiles = [(i, edges[i], edges[i + 1] - 1) for i in range(len(edges) - 1)]
    random.shuffle(tiles)  # type: ignore[attr-defined]
    assembler = FrameAssembler(SHAPE, BACKGROUND)
    results = [assembler.add(1, i, len(tiles), a, _band(a, b)) for i, a, b in tiles]
    assert results[:-1] == [None] * (len(tiles) - 1)
    assert results[-1] is not None
    np.testing.assert_array_equal(results[-1].indices, FRAME)
    assert assembler.take_partial() is None


def test_a_partial_frame_has_background_in_its_holes(assembler: FrameAssembler) -> None:
    assembler.add(1, 0, 3, 0, _band(0, 3))
    assembler.add(1, 2, 3, 8, _band(8, 9))
    frame = assembler.take_partial()
    assert frame is not None
    assert not frame.complete
    assert frame.received.tolist() == [True] * 4 + [False] * 4 + [True] * 2
    np.testing.assert_array_equal(frame.indices[:, frame.received], FRAME[:, frame.received])
    assert (frame.indices[0, 4:8] == 7).all()
    assert (frame.indices[1, 4:8] == 9).all()


def test_two_frames_can_be_open_and_the_newest_is_taken_first(assembler: FrameAssembler) -> None:
    assembler.add(1, 0, 2, 0, _band(0, 4))
    assembler.add(2, 1, 2, 5, _band(5, 9))
    newest = assembler.take_partial()
    assert newest is not None
    assert newest.key == 2
    completed = assembler.add(1, 1, 2, 5, _band(5, 9))
    assert completed is not None
    assert completed.key == 1
    assert assembler.take_partial(1) is None
    assert assembler.abandoned == 0


def test_memory_is_bounded_whatever_frames_are_begun(assembler: FrameAssembler) -> None:
    for key in range(1000):
        assert assembler.add(key, 0, 2, 0, _band(0, 4)) is None
    assert assembler.abandoned == 1000 - MAX_OPEN_FRAMES
    assert [assembler.take_partial() is not None for _ in range(3)] == [True, True, False]


def _reason(assembler: FrameAssembler, *tile: object) -> str:
    with pytest.raises(AssemblyError) as caught:
        assembler.add(*tile)  # type: ignore[arg-type]
    return caught.value.reason


def test_tiles_of_closed_frames_are_late(assembler: FrameAssembler) -> None:
    assembler.add(1, 0, 1, 0, FRAME)
    assert _reason(assembler, 1, 0, 1, 0, FRAME) == "late"
    assembler.add(2, 0, 2, 0, _band(0, 4))
    assembler.take_partial(2)
    assert _reason(assembler, 2, 1, 2, 5, _band(5, 9)) == "late"


def test_tiles_that_do_not_fit_their_frame_are_refused_and_change_nothing(
    assembler: FrameAssembler,
) -> None:
    assembler.add(1, 0, 3, 0, _band(0, 3))
    other = np.zeros((2, 4, 4), np.uint8)
    assert _reason(assembler, 1, 0, 3, 4, other) == "duplicate"
    assert _reason(assembler, 1, 1, 3, 3, other) == "overlap"
    assert _reason(assembler, 1, 1, 4, 4, other) == "tile_count"
    # Six rows are left for two tiles: seven are too many, and six leave none for the last tile.
    assert _reason(assembler, 1, 1, 3, 4, FRAME[:, 4:]) == "rows"
    assembler.add(1, 1, 3, 4, _band(4, 6))
    # The last tile must fill the rest.
    assert _reason(assembler, 1, 2, 3, 7, _band(7, 8)) == "rows"
    frame = assembler.add(1, 2, 3, 7, _band(7, 9))
    assert frame is not None
    np.testing.assert_array_equal(frame.indices, FRAME)


@pytest.mark.parametrize(
    ("tile", "reason"),
    [
        ((0, 0, 0, FRAME), "tile_count"),
        ((0, -1, 0, FRAME), "tile_count"),
        ((0, 11, 0, FRAME[:, :1]), "tile_count"),
        ((2, 2, 0, FRAME[:, :5]), "tile"),
        ((-1, 2, 0, FRAME[:, :5]), "tile"),
        ((0, 2, -1, FRAME[:, :5]), "rows"),
        ((1, 2, 6, FRAME[:, 5:]), "rows"),
        ((1, 2, 60_000, FRAME[:, 5:]), "rows"),
        ((0, 1, 0, FRAME[:, :9]), "rows"),
        ((0, 2, 0, FRAME[:, :0]), "shape"),
        ((0, 2, 0, FRAME[:1, :5]), "shape"),
        ((0, 2, 0, FRAME[:, :5, :3]), "shape"),
        ((0, 2, 0, FRAME[0]), "shape"),
        ((0, 2, 0, FRAME[:, :5].astype(np.int64)), "shape"),
    ],
)
def test_impossible_tiles_are_refused_and_open_no_frame(
    assembler: FrameAssembler,
    tile: tuple[int, int, int, npt.NDArray[np.uint8]],
    reason: str,
) -> None:
    assert _reason(assembler, 1, *tile) == reason
    assert assembler.take_partial() is None


def test_an_assembler_needs_a_shape_and_its_background() -> None:
    with pytest.raises(ValueError, match="shape"):
        FrameAssembler((2, 0, 4), BACKGROUND)
    with pytest.raises(ValueError, match="background must be uint8"):
        FrameAssembler(SHAPE, np.zeros(3, np.uint8))


def test_frames_do_not_share_memory(assembler: FrameAssembler) -> None:
    first = assembler.add(1, 0, 1, 0, FRAME)
    second = assembler.add(2, 0, 1, 0, FRAME)
    assert first is not None
    assert second is not None
    first.indices[:] = 0
    np.testing.assert_array_equal(second.indices, FRAME)
