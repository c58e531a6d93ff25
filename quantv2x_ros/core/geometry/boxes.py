# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""3D boxes: coding against anchors, corners, transforms, containment, BEV overlap.

A box is a row ``[x, y, z, l, w, h, yaw]``: centre, length, width and height in metres, yaw about +z
in radians, in a LiDAR frame (x forward, y left, z up).
"""

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.geometry import rotated

FloatArray = npt.NDArray[np.floating]

BOX_SIZE = 7
# The two direction bins are the half turns that start here (published configuration, 45 degrees).
DIRECTION_OFFSET = 0.7853

_CORNER_SIGNS = 0.5 * np.array(
    [(sx, sy, sz) for sz in (-1, 1) for sx, sy in ((1, -1), (1, 1), (-1, 1), (-1, -1))],
    dtype=np.float32,
)
#: Corner numbers (of `corners`: bottom 0 to 3, top 4 to 7) at the ends of a box's twelve edges.
BOX_EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 0)),
    *((4, 5), (5, 6), (6, 7), (7, 4)),
    *((0, 4), (1, 5), (2, 6), (3, 7)),
)
#: Corner numbers of the twelve triangles that a box's six faces are made of.
BOX_FACES = (
    *((0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)),
    *((0, 1, 5), (0, 5, 4), (2, 3, 7), (2, 7, 6)),
    *((1, 2, 6), (1, 6, 5), (3, 0, 4), (3, 4, 7)),
)


class BoxError(ValueError):
    """Boxes of a wrong shape or with values that no box can have."""


def check_boxes(boxes: FloatArray, name: str = "boxes") -> FloatArray:
    """Return ``boxes`` if it is a (N, 7) array of real numbers, else raise BoxError."""
    if boxes.ndim != 2 or boxes.shape[1] != BOX_SIZE or boxes.dtype.kind != "f":
        raise BoxError(
            f"{name} must be a floating-point array of shape (N, 7) [x, y, z, l, w, h, yaw], "
            f"got {boxes.dtype} of shape {boxes.shape}"
        )
    return boxes


def wrap_angle(angle: FloatArray) -> FloatArray:
    """Return angles wrapped to [-pi, pi), in their dtype."""
    wrapped: FloatArray = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped.astype(angle.dtype)


def direction_bin(yaw: FloatArray) -> npt.NDArray[np.int64]:
    """Direction bin of headings: 0 in [45 deg, 225 deg), else 1; what the direction head learns."""
    half_turns = np.floor((yaw.astype(np.float64) - DIRECTION_OFFSET) / np.pi).astype(np.int64)
    return half_turns % 2


def correct_heading(yaw: FloatArray, bins: npt.NDArray[np.integer]) -> FloatArray:
    """Turn headings, known up to half a turn, to the side that the direction bin tells.

    Args:
        yaw: (N,) radians.
        bins: (N,) 0 or 1, argmax of the direction head.

    Returns:
        (N,) radians in [-pi, pi), in yaw's dtype.
    """
    folded = (yaw.astype(np.float64) - DIRECTION_OFFSET) % np.pi + DIRECTION_OFFSET
    return wrap_angle(folded + np.pi * bins).astype(yaw.dtype)


def decode_boxes(deltas: FloatArray, anchors: FloatArray) -> FloatArray:
    """Return boxes of regression outputs, as SECOND codes them.

    See docs/network.md, "Post-processing".

    Args:
        deltas: (N, 7), order x, y, z, h, w, l, yaw.
        anchors: (N, 7) boxes, one for each row of deltas.

    Returns:
        (N, 7) boxes in the anchors' dtype. Not finite where a size's delta overflows.
    """
    check_boxes(anchors, "anchors")
    check_boxes(deltas, "deltas")
    if len(deltas) != len(anchors):
        raise BoxError(
            f"{len(deltas)} deltas do not fit {len(anchors)} anchors: one each is needed"
        )
    diagonal = np.sqrt(anchors[:, 3] ** 2 + anchors[:, 4] ** 2)
    boxes = np.empty_like(anchors)
    boxes[:, 0] = deltas[:, 0] * diagonal + anchors[:, 0]
    boxes[:, 1] = deltas[:, 1] * diagonal + anchors[:, 1]
    boxes[:, 2] = deltas[:, 2] * anchors[:, 5] + anchors[:, 2]
    with np.errstate(over="ignore"):
        boxes[:, 3:6] = np.exp(deltas[:, 5:2:-1]) * anchors[:, 3:6]
    boxes[:, 6] = deltas[:, 6] + anchors[:, 6]
    return boxes


def encode_boxes(boxes: FloatArray, anchors: FloatArray) -> FloatArray:
    """Return regression targets (N, 7) of boxes and anchors (N, 7); inverse of decode_boxes."""
    check_boxes(boxes)
    check_boxes(anchors, "anchors")
    if len(boxes) != len(anchors):
        raise BoxError(f"{len(boxes)} boxes do not fit {len(anchors)} anchors: one each is needed")
    if (boxes[:, 3:6] <= 0.0).any():
        raise BoxError("a box with a size of zero or less has no regression target: leave it out")
    diagonal = np.sqrt(anchors[:, 3] ** 2 + anchors[:, 4] ** 2)
    deltas = np.empty_like(anchors)
    deltas[:, 0] = (boxes[:, 0] - anchors[:, 0]) / diagonal
    deltas[:, 1] = (boxes[:, 1] - anchors[:, 1]) / diagonal
    deltas[:, 2] = (boxes[:, 2] - anchors[:, 2]) / anchors[:, 5]
    deltas[:, 5:2:-1] = np.log(boxes[:, 3:6] / anchors[:, 3:6])
    deltas[:, 6] = boxes[:, 6] - anchors[:, 6]
    return deltas


def corners(boxes: FloatArray) -> FloatArray:
    """Return the corners of boxes, (N, 8, 3) in the boxes' dtype.

    Order of signs of (l/2, w/2, h/2): (+,-,-) (+,+,-) (-,+,-) (-,-,-), then the same with +h.
    """
    check_boxes(boxes)
    local = boxes[:, None, 3:6] * _CORNER_SIGNS.astype(boxes.dtype)
    cos, sin = np.cos(boxes[:, 6, None]), np.sin(boxes[:, 6, None])
    result = np.empty((len(boxes), 8, 3), dtype=boxes.dtype)
    result[:, :, 0] = local[:, :, 0] * cos - local[:, :, 1] * sin + boxes[:, 0, None]
    result[:, :, 1] = local[:, :, 0] * sin + local[:, :, 1] * cos + boxes[:, 1, None]
    result[:, :, 2] = local[:, :, 2] + boxes[:, 2, None]
    return result


def corners_in_range(boxes: FloatArray, range_x: float, range_y: float) -> npt.NDArray[np.bool_]:
    """Return which boxes have all 8 corners in x ± range_x, y ± range_y metres, (N,) bool."""
    points = corners(boxes)
    limits = np.array([range_x, range_y])
    inside: npt.NDArray[np.bool_] = np.all(np.abs(points[:, :, :2]) <= limits, axis=(1, 2))
    return inside


def centres_in_range(boxes: FloatArray, range_x: float, range_y: float) -> npt.NDArray[np.bool_]:
    """Return which boxes have their centre in x ± range_x, y ± range_y metres, (N,) bool."""
    inside: npt.NDArray[np.bool_] = np.all(
        np.abs(boxes[:, :2]) <= np.array([range_x, range_y]), axis=1
    )
    return inside


def transform_boxes(boxes: FloatArray, matrix: npt.NDArray[np.float64]) -> FloatArray:
    """Boxes in another frame.

    Args:
        boxes: (N, 7) in the source frame.
        matrix: (4, 4) rigid transform, source coordinates to target coordinates.

    Returns:
        (N, 7) in boxes' dtype. Yaw is that of the turned heading's shadow on the ground, in
        [-pi, pi]; the tilt between the frames cannot be kept by a box with yaw alone.
    """
    check_boxes(boxes)
    if matrix.shape != (4, 4):
        raise BoxError(f"matrix must have the shape (4, 4), got {matrix.shape}")
    moved = boxes.copy()
    moved[:, :3] = boxes[:, :3].astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    cos, sin = np.cos(boxes[:, 6].astype(np.float64)), np.sin(boxes[:, 6].astype(np.float64))
    heading = np.stack([cos, sin], axis=1) @ matrix[:2, :2].T
    moved[:, 6] = np.arctan2(heading[:, 1], heading[:, 0])
    return moved


@njit(cache=True, nogil=True)
def _count_inside(
    points: npt.NDArray[np.float32], boxes: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Points in each box, borders included, (N,) int64."""
    counts = np.zeros(len(boxes), dtype=np.int64)
    for n in range(len(boxes)):
        x, y, z = boxes[n, 0], boxes[n, 1], boxes[n, 2]
        half_length, half_width, half_height = boxes[n, 3] / 2, boxes[n, 4] / 2, boxes[n, 5] / 2
        cos, sin = np.cos(boxes[n, 6]), np.sin(boxes[n, 6])
        radius = np.hypot(half_length, half_width)
        for p in range(len(points)):
            dx = points[p, 0] - x
            if abs(dx) > radius:
                continue
            dy = points[p, 1] - y
            if abs(dy) > radius or abs(points[p, 2] - z) > half_height:
                continue
            if abs(cos * dx + sin * dy) <= half_length and abs(cos * dy - sin * dx) <= half_width:
                counts[n] += 1
    return counts


def points_in_boxes(points: FloatArray, boxes: FloatArray) -> npt.NDArray[np.int64]:
    """Count the points in each box.

    Args:
        points: (P, 3 or more) x, y, z, ... in metres; NaN points count nowhere.
        boxes: (N, 7) in the same frame.

    Returns:
        (N,) int64.
    """
    check_boxes(boxes)
    if points.ndim != 2 or points.shape[1] < 3:
        raise BoxError(f"points must have the shape (P, 3 or more), got {points.shape}")
    positions = np.ascontiguousarray(points[:, :3], dtype=np.float32)
    counts: npt.NDArray[np.int64] = _count_inside(positions, boxes.astype(np.float64))
    return counts


def bev_rectangles(boxes: FloatArray, name: str = "boxes") -> npt.NDArray[np.float64]:
    """Ground rectangles (N, 5) float64 [x, y, l, w, yaw] of boxes (N, 7), or of (N, 5) such rows.

    Raises:
        BoxError: wrong shape, a value that is not finite, or a negative size.
    """
    if boxes.ndim != 2 or boxes.shape[1] not in (5, BOX_SIZE):
        raise BoxError(f"{name} must have the shape (N, 7) or (N, 5), got {boxes.shape}")
    columns = [0, 1, 3, 4, 6] if boxes.shape[1] == BOX_SIZE else [0, 1, 2, 3, 4]
    rectangles: npt.NDArray[np.float64] = np.ascontiguousarray(boxes[:, columns], dtype=np.float64)
    if not np.isfinite(rectangles).all():
        raise BoxError(f"{name} has a value that is not finite: drop such boxes first")
    if (rectangles[:, 2:4] < 0.0).any():
        raise BoxError(f"{name} has a box of negative length or width")
    return rectangles


def bev_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> npt.NDArray[np.float64]:
    """Exact intersection over union of the boxes' ground rectangles, every pair.

    Args:
        boxes_a: (N, 7), or (N, 5) [x, y, l, w, yaw].
        boxes_b: (M, 7) or (M, 5).

    Returns:
        (N, M) float64 in [0, 1]; 0 where both have no area.
    """
    iou: npt.NDArray[np.float64] = rotated.pairwise_iou(
        bev_rectangles(boxes_a, "boxes_a"), bev_rectangles(boxes_b, "boxes_b")
    )
    return iou
