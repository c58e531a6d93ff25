# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lost cells are taken from where the station saw them before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.transport.concealment import SweepMemory

GRID = BevGrid((-16.0, -8.0, -1.0, 16.0, 8.0, 1.0), (1.0, 1.0, 2.0))  # 8 rows, 16 columns of 2 m
MS = 1_000_000


def pose(x=0.0, y=0.0, yaw=0.0):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    matrix[:2, 3] = x, y
    return matrix


def numbered():
    """Every cell of both planes has its own code."""
    cells = np.arange(8 * 16, dtype=np.uint8).reshape(8, 16)
    return np.stack([cells, 255 - cells])


def mask(columns):
    received = np.ones((8, 16), bool)
    received[:, columns] = False
    return received


def blank(received):
    return np.where(received, numbered(), 7).astype(np.uint8)


def test_a_whole_sweep_is_left_as_it_is():
    indices, received = numbered(), mask([])
    filled, known = SweepMemory(GRID, 0.3).fill(indices, received, pose(), 0)
    assert filled is indices
    assert known is received


def test_a_standing_station_fills_holes_with_what_was_there():
    memory = SweepMemory(GRID, 0.3)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask([3, 4])
    filled, known = memory.fill(blank(received), received, pose(), 100 * MS)
    np.testing.assert_array_equal(filled, numbered())
    assert known.all()


def test_nothing_is_known_at_the_first_sweep():
    received = mask([3])
    _, known = SweepMemory(GRID, 0.3).fill(blank(received), received, pose(), 0)
    np.testing.assert_array_equal(known, received)


def test_a_moving_station_looks_where_the_cells_were():
    memory = SweepMemory(GRID, 0.3)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask([5, 15])
    # two metres ahead: what is in column 5 now was in column 6; column 15 was never seen
    filled, known = memory.fill(blank(received), received, pose(x=2.0), 100 * MS)
    np.testing.assert_array_equal(filled[:, :, 5], numbered()[:, :, 6])
    assert known[:, 5].all()
    assert not known[:, 15].any()
    np.testing.assert_array_equal(filled[:, :, 15], 7)


def test_a_turned_station_turns_its_memory():
    memory = SweepMemory(GRID, 0.3)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask(range(16))
    filled, known = memory.fill(blank(received), received, pose(yaw=np.pi), 100 * MS)
    np.testing.assert_array_equal(filled, numbered()[:, ::-1, ::-1])
    assert known.all()


def test_cells_are_forgotten_by_their_own_age_not_by_the_sweeps():
    memory = SweepMemory(GRID, 0.25)
    received = mask([3])
    memory.fill(numbered(), mask([]), pose(), 0)
    for stamp, remembered in ((100, True), (200, True), (300, False)):
        filled, known = memory.fill(blank(received), received, pose(), stamp * MS)
        assert known[:, 3].all() == remembered
        assert (filled[0, :, 3] == (numbered()[0, :, 3] if remembered else 7)).all()


def test_what_was_itself_a_hole_fills_none():
    memory = SweepMemory(GRID, 0.3)
    received = mask([3])
    memory.fill(blank(received), received, pose(), 0)
    _, known = memory.fill(blank(received), received, pose(), 100 * MS)
    np.testing.assert_array_equal(known, received)


def test_a_sweep_that_comes_late_neither_fills_nor_is_remembered():
    memory = SweepMemory(GRID, 0.3)
    memory.fill(numbered(), mask([]), pose(), 100 * MS)
    received = mask([3])
    _, known = memory.fill(np.full((2, 8, 16), 7, np.uint8), received, pose(), 0)
    assert known is received
    filled, _ = memory.fill(blank(received), received, pose(), 200 * MS)
    np.testing.assert_array_equal(filled, numbered())


def test_a_station_whose_clock_was_set_back_is_remembered_anew():
    memory = SweepMemory(GRID, 0.3)
    memory.fill(np.full((2, 8, 16), 9, np.uint8), mask([]), pose(), 10_000 * MS)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask([3])
    filled, _ = memory.fill(blank(received), received, pose(), 100 * MS)
    np.testing.assert_array_equal(filled, numbered())


def test_it_can_be_switched_off():
    memory = SweepMemory(GRID, 0.0)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask([3])
    assert memory.fill(blank(received), received, pose(), 100 * MS)[1] is received


@given(
    st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(-7, 7), st.integers(0, 400),
    st.sets(st.integers(0, 15)),
)  # fmt: skip
def test_wherever_a_station_says_it_is_what_came_stays_and_codes_are_its_own(x, y, yaw, age, lost):
    memory = SweepMemory(GRID, 0.3)
    memory.fill(numbered(), mask([]), pose(), 0)
    received = mask(sorted(lost))
    filled, known = memory.fill(blank(received), received, pose(x, y, yaw), age * MS)
    assert known[received].all()
    np.testing.assert_array_equal(filled[:, received], numbered()[:, received])
    np.testing.assert_array_equal(filled[:, ~known], 7)
    pairs = set(zip(*numbered().reshape(2, -1).tolist(), strict=True))
    new = known & ~received
    assert set(zip(*filled[:, new].tolist(), strict=True)) <= pairs


def test_an_age_must_not_be_negative():
    with pytest.raises(ValueError, match="max_age"):
        SweepMemory(GRID, -0.1)
