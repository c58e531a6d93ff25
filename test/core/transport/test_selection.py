# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cells are sent: near objects, and where a receiver can use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.transport.selection import (
    REACH,
    cells_in_range,
    cells_of_interest,
    clear_cells,
    object_evidence,
    occupied_cells,
)

Models = Callable[[int, int, int], IndexModel]
GRID = BevGrid((-25.6, -12.8, -3.0, 25.6, 12.8, 1.0), (0.4, 0.4, 4.0))
BACKGROUND = np.array([4, 5], np.uint8)


def empty_map() -> np.ndarray:
    indices = np.empty((2, *GRID.shape), np.uint8)
    indices[:] = BACKGROUND[:, None, None]
    return indices


def test_occupied_is_what_differs_in_any_plane() -> None:
    indices = empty_map()
    indices[1, 3, 7] = 0
    assert np.argwhere(occupied_cells(indices, BACKGROUND)).tolist() == [[3, 7]]


def test_evidence_adds_up_over_planes_and_reaches_neighbours(index_model: Models) -> None:
    occupancy = np.zeros((2, 8), np.float32)
    occupancy[0, 1], occupancy[1, 2] = 3.0, 1.5
    occupancy[0, 4] = -2.0
    model = replace(index_model(2, 8, 0), occupancy=occupancy)
    indices = empty_map()
    indices[:, 10, 20] = 1, 2
    evidence = object_evidence(indices, BACKGROUND, model)
    near = np.zeros(GRID.shape, bool)
    near[10 - REACH : 11 + REACH, 20 - REACH : 21 + REACH] = True
    assert (evidence[near] == 4.5).all()
    assert (evidence[~near] == -2.0).all()
    simple = object_evidence(indices, BACKGROUND, None)
    assert (simple[near] == 0.0).all()
    assert (simple[~near] == -2.0).all()


def test_cleared_cells_hold_the_background() -> None:
    indices = np.zeros((2, *GRID.shape), np.uint8)
    keep = np.zeros(GRID.shape, bool)
    keep[4] = True
    cleared = clear_cells(indices, keep, BACKGROUND)
    assert cleared.dtype == np.uint8
    assert (cleared[:, 4] == 0).all()
    assert np.array_equal(occupied_cells(cleared, BACKGROUND), keep)
    assert (indices == 0).all()


def test_range_is_measured_from_the_sensor() -> None:
    near = cells_in_range(GRID, 10.0)
    rows, columns = np.nonzero(near)
    x, y = -25.6 + (columns + 0.5) * 0.8, -12.8 + (rows + 0.5) * 0.8
    assert np.hypot(x, y).max() <= 10.0
    assert abs(near.sum() * 0.64 - np.pi * 100) < 10


def test_receivers_want_what_lies_within_their_own_detection_range() -> None:
    ahead = np.eye(4)
    ahead[0, 3] = -30.0  # the receiver stands 30 m ahead: its x is the sender's less 30
    wanted = cells_of_interest(GRID, [ahead], 20.0, 5.0)
    rows, columns = np.nonzero(wanted)
    assert columns.min() == 44  # its centre is 10 m ahead
    assert columns.max() == GRID.shape[1] - 1
    assert np.abs(-12.8 + (rows + 0.5) * 0.8).max() <= 5.0
    assert not cells_of_interest(GRID, [], 20.0, 5.0).any()
    both = cells_of_interest(GRID, [ahead, np.eye(4)], 20.0, 5.0)
    assert (both & wanted).sum() == wanted.sum() < both.sum()
