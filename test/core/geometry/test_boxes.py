# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Box coding, corners, transforms and containment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry import boxes as box
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x

GRID = BevGrid((-12.8, -6.4, -3.0, 12.8, 6.4, 1.0), (0.4, 0.4, 4.0))
ANCHORS = AnchorSet.v2x_real().grid_anchors(GRID).astype(np.float64)


def _row(*values: float) -> npt.NDArray[np.float64]:
    return np.array([values], dtype=np.float64)


@given(hnp.arrays(np.float64, (6, 7), elements=st.floats(-2, 2)), st.integers(0, 500))
def test_encoding_undoes_decoding(deltas: npt.NDArray[np.float64], first: int) -> None:
    anchors = ANCHORS[first : first + 6]
    decoded = box.decode_boxes(deltas, anchors)
    np.testing.assert_allclose(box.encode_boxes(decoded, anchors), deltas, atol=1e-12)


def test_each_delta_moves_what_it_is_for() -> None:
    anchor = _row(10, -5, -1, 4, 3, 1.5, 0.2)  # diagonal 5
    deltas = _row(0.2, -0.4, 2.0, np.log(3), np.log(2), np.log(0.5), 0.1)
    np.testing.assert_allclose(
        box.decode_boxes(deltas, anchor), _row(11, -7, 2, 2, 6, 4.5, 0.3), atol=1e-12
    )


def test_a_box_without_size_has_no_regression_target() -> None:
    with pytest.raises(box.BoxError, match="size of zero"):
        box.encode_boxes(_row(0, 0, 0, 0, 1, 1, 0), ANCHORS[:1])


@pytest.mark.parametrize("coder", [box.decode_boxes, box.encode_boxes])
def test_coding_needs_an_anchor_for_each_row(coder: Any) -> None:
    with pytest.raises(box.BoxError, match=r"2 .* do not fit 1 anchors"):
        coder(np.ones((2, 7)), ANCHORS[:1])
    with pytest.raises(box.BoxError, match=r"shape \(N, 7\)"):
        coder(np.ones((1, 6)), ANCHORS[:1])


def test_corners_come_in_the_published_order() -> None:
    expected = [(2, -1, -0.5), (2, 1, -0.5), (-2, 1, -0.5), (-2, -1, -0.5)]
    expected += [(x, y, 0.5) for x, y, _ in expected]
    np.testing.assert_allclose(box.corners(_row(0, 0, 0, 4, 2, 1, 0))[0], expected)
    turned = box.corners(_row(10, 20, 30, 4, 2, 1, np.pi / 2))[0]
    np.testing.assert_allclose(turned[0], (11, 22, 29.5))


def test_corners_agree_with_the_published_ones(golden: Mapping[str, npt.NDArray[Any]]) -> None:
    candidates = golden["cand_box_xyzhwlr"][:, [0, 1, 2, 5, 4, 3, 6]].astype(np.float32)
    np.testing.assert_allclose(
        box.corners(candidates[golden["nms_keep"]]), golden["final_corners"], atol=1e-3
    )


def test_all_corners_must_lie_in_the_range_and_height_does_not_matter() -> None:
    boxes = np.array(
        [
            (98, 0, 0, 4, 2, 1.5, 0),  # touches x = 100
            (98.01, 0, 0, 4, 2, 1.5, 0),
            (98.01, 0, 0, 4, 2, 1.5, np.pi / 2),
            (-98.01, 0, 0, 4, 2, 1.5, 0),
            (0, 39, 0, 4, 2, 1.5, 0),  # touches y = 40
            (0, 39, 0, 4, 2, 1.5, 0.1),
            (0, 0, 500, 4, 2, 1.5, 0.1),
        ],
        dtype=np.float64,
    )
    inside = box.corners_in_range(boxes, 100.0, 40.0)
    assert inside.tolist() == [True, False, True, False, True, False, True]


def test_a_centre_on_the_border_lies_in_the_range() -> None:
    places = [(100, 0, 9), (100.01, 0, 0), (0, -40, 0), (0, -40.01, 0), (-100, 40, 0)]
    boxes = np.array([(*place, 4, 2, 1.5, 0.3) for place in places])
    inside = box.centres_in_range(boxes, 100.0, 40.0)
    assert inside.tolist() == [True, False, True, False, True]


def test_boxes_move_with_their_corners() -> None:
    matrix = matrix_from_v2x([12.0, -7.0, 1.5, 0.0, 137.0, 0.0])
    boxes = np.array([(3, 4, 0, 4, 2, 1.5, 0.4), (-30, 9, 1, 8, 3, 3, -2.9)], dtype=np.float64)
    moved = box.transform_boxes(boxes, matrix)
    expected = box.corners(boxes) @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(box.corners(moved), expected, atol=1e-9)


def test_there_and_back_gives_the_same_box_under_tilt_but_for_its_lean() -> None:
    matrix = matrix_from_v2x([5.0, 2.0, 1.0, 1.0, 30.0, -2.0])
    boxes = np.array([(20, -4, 0, 4, 2, 1.5, 1.0)], dtype=np.float64)
    back = box.transform_boxes(box.transform_boxes(boxes, matrix), np.linalg.inv(matrix))
    np.testing.assert_allclose(back[:, :6], boxes[:, :6], atol=1e-9)
    assert back[0, 6] == pytest.approx(1.0, abs=2e-3)


@given(hnp.arrays(np.float64, 20, elements=st.floats(-50, 50)))
def test_wrapped_angles_are_the_same_directions(angles: npt.NDArray[np.float64]) -> None:
    wrapped = box.wrap_angle(angles)
    assert ((wrapped >= -np.pi) & (wrapped < np.pi)).all()
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angles), atol=1e-12)


@given(hnp.arrays(np.float64, 20, elements=st.floats(-7, 7)), st.integers(-3, 3))
def test_direction_bins_restore_headings_known_up_to_half_turns(
    yaw: npt.NDArray[np.float64], half_turns: int
) -> None:
    bins = box.direction_bin(yaw)
    restored = box.correct_heading(yaw + np.pi * half_turns, bins)
    # At a bin's border the last digit decides the side; such headings say nothing.
    clear = np.abs((yaw - box.DIRECTION_OFFSET + 1) % np.pi - 1) > 1e-6
    np.testing.assert_allclose(np.exp(1j * restored)[clear], np.exp(1j * yaw)[clear], atol=1e-9)


def test_direction_bins_are_the_two_half_turns_from_45_degrees() -> None:
    yaw = np.radians([46.0, 90.0, 224.0, 226.0, 0.0, 44.0, -90.0, -136.0])
    assert box.direction_bin(yaw).tolist() == [0, 0, 0, 1, 1, 1, 1, 0]


def test_points_are_counted_in_turned_boxes() -> None:
    boxes = np.array([(10, 5, 0, 4, 2, 2, 0.5), (0, 0, 0, 1, 1, 1, 0)], dtype=np.float64)
    local = np.array([(1.9, 0.9, 0.9), (2.1, 0, 0), (0, 1.1, 0), (0, 0, 1.1), (-1.9, -0.9, -0.9)])
    cos, sin = np.cos(0.5), np.sin(0.5)
    points = local @ np.array([(cos, sin, 0), (-sin, cos, 0), (0, 0, 1)]) + (10, 5, 0)
    cloud = np.concatenate([points, [(np.nan, 0, 0), (0.4, -0.4, 0.4)]])
    cloud = np.column_stack([cloud, np.zeros(len(cloud))]).astype(np.float32)
    assert box.points_in_boxes(cloud, boxes).tolist() == [2, 1]
    assert box.points_in_boxes(cloud[:0], boxes).tolist() == [0, 0]
    assert box.points_in_boxes(cloud, boxes[:0]).tolist() == []
