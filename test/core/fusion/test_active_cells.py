# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cells that are computed are those that the heads of occupied cells depend on, no others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from quantv2x_ros.core.fusion.active_cells import ActiveCells

Mask = npt.NDArray[np.bool_]


def near(mask: Mask, distance: int) -> Mask:
    """Cells that have one of the mask within so many rows and columns."""
    rows, columns = mask.shape
    found = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        found[
            max(0, row - distance) : min(rows, row + distance + 1),
            max(0, column - distance) : min(columns, column + distance + 1),
        ] = True
    return found


def as_mask(cells: npt.NDArray[np.int64], shape: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask.reshape(-1)[cells] = True
    return mask


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mask, slice]:
    rows, columns = 2 * draw(st.integers(1, 5)), 2 * draw(st.integers(1, 8))
    occupied = draw(arrays.arrays(np.bool_, (rows, columns), fill=st.just(False)))
    first = draw(st.integers(0, 2 * columns - 1))
    return occupied, slice(first, draw(st.integers(first + 1, 2 * columns)))


@given(cases())
def test_heads_are_computed_in_occupied_cells_of_the_columns(case: tuple[Mask, slice]) -> None:
    occupied, columns = case
    cells = ActiveCells.where(occupied, columns)
    expected = occupied.repeat(2, 0).repeat(2, 1)
    expected[:, : columns.start] = expected[:, columns.stop :] = False
    assert (np.diff(cells.heads) > 0).all()
    np.testing.assert_array_equal(as_mask(cells.heads, expected.shape), expected)
    np.testing.assert_array_equal(as_mask(cells.inner, expected.shape), near(expected, 1))


@given(cases())
def test_every_level_has_what_the_convolutions_see(case: tuple[Mask, slice]) -> None:
    occupied, columns = case
    cells = ActiveCells.where(occupied, columns)
    shape = cells.needed[0].shape
    seen = near(as_mask(cells.heads, shape), 2)
    assert (cells.needed[0] >= seen).all()
    for level in (1, 2):
        over = cells.needed[level].repeat(1 << level, 0).repeat(1 << level, 1)
        assert (over >= cells.needed[0]).all()
    # blocks of four, and one more around, is all that rounding to coarser cells may add
    assert (cells.needed[0] <= near(as_mask(cells.heads, shape), 3)).all()


def test_nothing_is_computed_where_nothing_may_be() -> None:
    cells = ActiveCells.where(np.zeros((8, 12), np.bool_), slice(0, 24))
    assert len(cells.heads) == len(cells.inner) == 0
    assert not any(mask.any() for mask in cells.needed)


@pytest.mark.parametrize(
    "occupied", [np.zeros((3, 4), np.bool_), np.zeros((4, 4), np.uint8), np.zeros(4, np.bool_)]
)
def test_maps_that_the_pyramid_cannot_have_are_refused(occupied: Mask) -> None:
    with pytest.raises(ValueError, match=r"occupied must be bool with even numbers"):
        ActiveCells.where(occupied, slice(0, 4))
