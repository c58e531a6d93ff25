# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Overlap of rotated rectangles, against an independent slow reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import nms
from quantv2x_ros.core.geometry.boxes import BoxError, bev_iou

Array = npt.NDArray[np.float64]

rectangles = st.tuples(
    st.floats(-4, 4),
    st.floats(-4, 4),
    st.floats(0.1, 9),
    st.floats(0.1, 9),
    st.floats(-7, 7),
)


def _corners(rectangle: Array) -> Array:
    x, y, length, width, yaw = rectangle
    local = 0.5 * np.array([(length, width), (-length, width), (-length, -width), (length, -width)])
    cos, sin = np.cos(yaw), np.sin(yaw)
    return local @ np.array([(cos, sin), (-sin, cos)]) + (x, y)


def _inside(point: Array, polygon: Array) -> bool:
    edges = np.roll(polygon, -1, axis=0) - polygon
    to_point = point - polygon
    return bool((edges[:, 0] * to_point[:, 1] - edges[:, 1] * to_point[:, 0] >= -1e-9).all())


def _crossings(a: Array, b: Array) -> list[Array]:
    found = []
    for i in range(4):
        for j in range(4):
            p, r = a[i], a[(i + 1) % 4] - a[i]
            q, s = b[j], b[(j + 1) % 4] - b[j]
            cross = r[0] * s[1] - r[1] * s[0]
            if abs(cross) < 1e-12:
                continue
            d = q - p
            t = (d[0] * s[1] - d[1] * s[0]) / cross
            u = (d[0] * r[1] - d[1] * r[0]) / cross
            if 0 <= t <= 1 and 0 <= u <= 1:
                found.append(p + t * r)
    return found


def reference_iou(first: Array, second: Array) -> float:
    """IoU from the corners inside each other and the edges' crossings, ordered by angle."""
    a, b = _corners(first), _corners(second)
    points = [p for p in a if _inside(p, b)] + [p for p in b if _inside(p, a)] + _crossings(a, b)
    shared = 0.0
    if len(points) > 2:
        hull = np.array(points)
        centre = hull.mean(axis=0)
        hull = hull[np.argsort(np.arctan2(hull[:, 1] - centre[1], hull[:, 0] - centre[0]))]
        following = np.roll(hull, -1, axis=0)
        shared = 0.5 * float((hull[:, 0] * following[:, 1] - hull[:, 1] * following[:, 0]).sum())
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return float(bev_iou(np.array([a]), np.array([b]))[0, 0])


@given(rectangles, rectangles)
def test_iou_is_that_of_the_polygons(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    assert _overlap(a, b) == pytest.approx(reference_iou(np.array(a), np.array(b)), abs=1e-6)


@given(rectangles, rectangles, st.floats(-1000, 1000), st.floats(-3, 3))
def test_iou_does_not_depend_on_order_or_frame(
    a: tuple[float, ...], b: tuple[float, ...], shift: float, turn: float
) -> None:
    cos, sin = np.cos(turn), np.sin(turn)
    moved = [
        (cos * r[0] - sin * r[1] + shift, sin * r[0] + cos * r[1] - shift, r[2], r[3], r[4] + turn)
        for r in (a, b)
    ]
    assert _overlap(b, a) == pytest.approx(_overlap(a, b), abs=1e-9)
    assert _overlap(moved[0], moved[1]) == pytest.approx(_overlap(a, b), abs=1e-7)


def test_iou_of_pairs_that_can_be_told_by_hand() -> None:
    square = (0.0, 0.0, 2.0, 2.0, 0.0)
    assert _overlap(square, square) == 1.0
    assert _overlap(square, (0.0, 0.0, 2.0, 2.0, np.pi / 2)) == pytest.approx(1.0)
    assert _overlap(square, (1.0, 0.0, 2.0, 2.0, np.pi)) == pytest.approx(1 / 3)
    assert _overlap(square, (0.0, 0.0, 1.0, 1.0, 0.7)) == pytest.approx(0.25)
    assert _overlap(square, (2.0, 0.0, 2.0, 2.0, 0.0)) == 0.0
    assert _overlap(square, (50.0, 0.0, 2.0, 2.0, 0.3)) == 0.0
    octagon = 8 * (np.sqrt(2) - 1)
    assert _overlap(square, (0, 0, 2, 2, np.pi / 4)) == pytest.approx(octagon / (8 - octagon))


def test_iou_of_boxes_without_area_is_zero() -> None:
    assert _overlap((0, 0, 0, 0, 0), (0, 0, 0, 0, 0)) == 0.0
    assert _overlap((0, 0, 0, 2, 0), (0, 0, 2, 2, 0)) == 0.0


def test_iou_takes_boxes_and_empty_sets() -> None:
    boxes = np.array([[1.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.3]], dtype=np.float32)
    rectangle = np.array([[1.0, 2.0, 4.0, 2.0, 0.3]])
    assert bev_iou(boxes, rectangle)[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert bev_iou(boxes, np.zeros((0, 7))).shape == (1, 0)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [(0, np.nan, "not finite"), (2, np.inf, "not finite"), (3, -1.0, "negative")],
)
def test_boxes_that_no_object_has_are_refused(column: int, value: float, message: str) -> None:
    rectangle = np.array([[0.0, 0.0, 1.0, 1.0, 0.0]])
    rectangle[0, column] = value
    with pytest.raises(BoxError, match=message):
        bev_iou(rectangle, rectangle)
    with pytest.raises(BoxError, match=message):
        nms(rectangle, np.ones(1), 0.5)


def reference_nms(boxes: Array, scores: Array, threshold: float) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(reference_iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("spread", [2.0, 10.0])
def test_nms_keeps_what_slow_greedy_suppression_keeps(threshold: float, spread: float) -> None:
    generator = np.random.default_rng(7)
    boxes = np.column_stack(
        [
            generator.uniform(-spread, spread, (60, 2)),
            generator.uniform(0.5, 9, (60, 2)),
            generator.uniform(-4, 4, 60),
        ]
    )
    scores = generator.random(60)
    kept = nms(boxes, scores, threshold)
    assert kept.tolist() == reference_nms(boxes, scores, threshold)
    assert 0 < len(kept) < 60
