# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Anchors are matched to boxes as the heads must learn them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry.boxes import correct_heading, decode_boxes
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.targets import TargetAssigner, occupancy_map

GRID = BevGrid((-25.6, -12.8, -5.0, 25.6, 12.8, 1.0), (0.4, 0.4, 6.0))
ANCHORS = AnchorSet.v2x_real()
ASSIGN = TargetAssigner(ANCHORS, GRID)
SIZES = {1: (4.5, 1.9, 1.6), 2: (0.6, 0.6, 1.7), 3: (9.0, 2.6, 3.2)}


def box(label: int, x: float, y: float, yaw: float) -> np.ndarray:
    return np.array([[x, y, -1.0, *SIZES[label], yaw]], dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(
    label=st.sampled_from([1, 2, 3]),
    x=st.floats(-24, 24),
    y=st.floats(-11, 11),
    yaw=st.floats(-3.1, 3.1),
)
def test_every_box_in_the_grid_has_an_anchor_of_its_class_that_decodes_to_it(label, x, y, yaw):
    truth = box(label, x, y, yaw)
    targets = ASSIGN(truth, np.array([label]))
    assert len(targets.positives) >= 1
    assert (targets.labels[targets.positives] == label).all()
    anchors = ANCHORS.grid_anchors(GRID)[targets.positives]
    decoded = decode_boxes(targets.deltas, anchors)
    assert decoded[:, :6] == pytest.approx(np.repeat(truth[:, :6], len(decoded), 0), abs=1e-3)
    heading = correct_heading(decoded[:, 6], targets.directions)
    assert np.cos(heading - yaw) == pytest.approx(1.0, abs=1e-4)


def test_anchors_between_the_thresholds_are_ignored_and_far_ones_are_background():
    targets = ASSIGN(box(1, 0.1, 0.1, 0.0), np.array([1]))
    labels = targets.labels.reshape(*GRID.shape, 3, 2)
    assert (labels[..., 0, :] == -1).any()
    assert (labels[:, :20] == 0).all()
    assert (labels[..., 1:, :] == 0).all()


def test_no_boxes_give_background_only():
    targets = ASSIGN(np.empty((0, 7), np.float32), np.empty(0, np.int64))
    assert not targets.labels.any()
    assert targets.deltas.shape == (0, 7)


def test_a_box_outside_the_grid_is_left_out():
    assert not ASSIGN(box(1, 80.0, 0.0, 0.0), np.array([1])).labels.any()


def test_occupancy_covers_the_turned_box_and_nothing_else():
    truth = box(3, 5.0, 2.0, 0.7)
    occupied = occupancy_map(truth, GRID, margin=0.0)
    y, x = GRID.cell_centres()
    rows, columns = np.nonzero(occupied)
    along = (x[columns] - 5.0) * np.cos(0.7) + (y[rows] - 2.0) * np.sin(0.7)
    across = (y[rows] - 2.0) * np.cos(0.7) - (x[columns] - 5.0) * np.sin(0.7)
    assert (np.abs(along) <= 4.5).all()
    assert (np.abs(across) <= 1.3).all()
    assert occupied.sum() * 0.64 == pytest.approx(9.0 * 2.6, rel=0.25)
