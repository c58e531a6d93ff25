# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Anchor boxes on the grid."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.detection.anchors import AnchorClass, AnchorSet
from quantv2x_ros.core.geometry.grid import BevGrid


def test_anchors_come_by_row_column_class_and_yaw() -> None:
    grid = BevGrid()
    anchors = AnchorSet.v2x_real().grid_anchors(grid)
    assert anchors.shape == (100 * 352 * 6, 7)
    assert anchors.dtype == np.float32
    cell = anchors.reshape(100, 352, 6, 7)[3, 5]
    x, y = -140.8 + 5.5 * 0.8, -40.0 + 3.5 * 0.8
    sizes = [(-1.78, 3.9, 1.6, 1.56), (-0.6, 0.8, 0.6, 1.73), (-1.78, 8, 3, 3)]
    expected = [(x, y, *size, yaw) for size in sizes for yaw in (0.0, 1.57)]
    np.testing.assert_allclose(cell, expected, rtol=1e-6)


def test_classes_are_named_in_label_order() -> None:
    anchors = AnchorSet.v2x_real()
    assert anchors.names == ("vehicle", "pedestrian", "truck")
    assert anchors.per_cell == 6


def test_anchors_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        AnchorClass("vehicle", (0.0, 1.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="unmatch_iou"):
        AnchorClass("vehicle", (4.0, 1.0, 1.0), 0.0, match_iou=0.3, unmatch_iou=0.5)
    with pytest.raises(ValueError, match="at least one class"):
        AnchorSet(())
