# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects in an older map stand where they are by now."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.motion_compensation import Displacement, move_objects
from quantv2x_ros.core.geometry.grid import BevGrid

GRID = BevGrid((-51.2, -25.6, -5.0, 51.2, 25.6, 1.0), (0.4, 0.4, 6.0))
CHANNELS = 4


def maps(x, y, dtype=np.uint8):
    """A pyramid with one object of value 200 on a ground of 10, and its scores."""
    levels, scores = [], []
    for number in range(3):
        rows, columns = (size // 2**number for size in GRID.shape)
        cell = GRID.cell_size[0] * 2**number
        features = np.full((rows, columns, CHANNELS), 10, dtype)
        score = np.full((rows, columns), 0.5, np.float32)
        row = int((y - GRID.lidar_range[1]) / cell)
        column = int((x - GRID.lidar_range[0]) / cell)
        features[row, column] = 200
        score[row, column] = 5.0
        levels.append(features)
        scores.append(score)
    return levels, scores


def place_of(score, number):
    row, column = np.unravel_index(score.argmax(), score.shape)
    cell = GRID.cell_size[0] * 2**number
    return (
        GRID.lidar_range[0] + (column + 0.5) * cell,
        GRID.lidar_range[1] + (row + 0.5) * cell,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("dx", "dy"), [(6.4, 0.0), (0.0, -6.4), (12.8, 6.4)])
def test_features_and_scores_move_by_whole_cells_unchanged(dtype, dx, dy):
    levels, scores = maps(1.6, 1.6, dtype)
    moved, moved_scores = move_objects(
        levels, scores, [Displacement(1.6, 1.6, 4.0, 2.0, 0.0, dx, dy)], GRID
    )
    for number in range(3):
        before, after = place_of(scores[number], number), place_of(moved_scores[number], number)
        np.testing.assert_allclose(np.subtract(after, before), (dx, dy), atol=1e-9)
        assert moved[number].dtype == dtype
        assert moved[number].max() == 200
        assert moved_scores[number].max() == 5.0


def test_the_ground_that_is_left_counts_as_not_received():
    levels, scores = maps(1.6, 1.6)
    _, moved_scores = move_objects(
        levels, scores, [Displacement(1.6, 1.6, 4.0, 2.0, 0.0, 12.8, 0.0)], GRID
    )
    row, column = np.unravel_index(scores[0].argmax(), scores[0].shape)
    assert moved_scores[0][row, column] == 0.0
    assert (moved_scores[0] == 0.0).sum() < 60, "no more than the object's surroundings"


def test_fractions_of_a_cell_are_interpolated():
    levels, scores = maps(1.6, 1.6)
    _, moved_scores = move_objects(
        levels, scores, [Displacement(1.6, 1.6, 4.0, 2.0, 0.0, 0.4, 0.0)], GRID
    )
    row, column = np.unravel_index(scores[0].argmax(), scores[0].shape)
    np.testing.assert_allclose(moved_scores[0][row, column : column + 2], 2.75)


def test_the_given_maps_are_left_as_they_are():
    levels, scores = maps(1.6, 1.6)
    before = [array.copy() for array in (*levels, *scores)]
    move_objects(levels, scores, [Displacement(1.6, 1.6, 4.0, 2.0, 0.3, 5.0, 1.0)], GRID)
    for array, copy in zip((*levels, *scores), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_without_motion_nothing_is_copied():
    levels, scores = maps(1.6, 1.6)
    moved, _ = move_objects(levels, scores, [], GRID)
    assert all(one is other for one, other in zip(moved, levels, strict=True))


@pytest.mark.parametrize(("x", "y", "dx", "dy"), [(50.5, 0, 9, 0), (0, 25, 0, 9), (300, 0, 5, 5)])
def test_objects_leave_the_map_at_its_edge(x, y, dx, dy):
    levels, scores = maps(1.6, 1.6)
    moved, moved_scores = move_objects(
        levels, scores, [Displacement(x, y, 4.0, 2.0, 1.0, dx, dy)], GRID
    )
    assert all(np.isfinite(score).all() for score in moved_scores)
    assert [m.shape for m in moved] == [m.shape for m in levels]


def test_a_column_of_vehicles_moves_as_one():
    levels, scores = maps(1.6, 1.6)
    column = 1 + int((1.6 - GRID.lidar_range[0]) / 0.8) + 7
    row = int((1.6 - GRID.lidar_range[1]) / 0.8)
    scores[0][row, column] = 4.0
    follow = [
        Displacement(1.6, 1.6, 4.0, 2.0, 0.0, 6.4, 0.0),
        Displacement(8.0, 1.6, 4.0, 2.0, 0.0, 6.4, 0.0),
    ]
    _, moved_scores = move_objects(levels, scores, follow, GRID)
    assert moved_scores[0][row, column] == 5.0, "the second stands where the first was"
    assert moved_scores[0][row, column + 8] == 4.0
