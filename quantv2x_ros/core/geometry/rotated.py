# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exact overlap of rotated rectangles in the ground plane, and greedy suppression.

A rectangle is a row ``[x, y, length, width, yaw]`` in float64. The second rectangle of a pair is
moved into the frame of the first, where clipping is against two pairs of axis-parallel lines: no
general polygon code, and no loss of digits far from the origin.

All kernels live in this one file because Numba's on-disk cache notices changes of a function's own
file only.
"""

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

FloatArray = npt.NDArray[np.float64]

# A convex quadrilateral clipped by four half planes has at most eight corners.
_MAX_CORNERS = 8


@njit(cache=True, nogil=True)
def _clip(
    polygon: FloatArray, count: int, clipped: FloatArray, axis: int, sign: float, limit: float
) -> int:
    """Keep where ``sign * coordinate[axis] <= limit``; return the number of corners kept."""
    kept = 0
    other = 1 - axis
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        here = sign * polygon[i, axis] - limit
        there = sign * polygon[j, axis] - limit
        if here <= 0.0:
            clipped[kept, 0] = polygon[i, 0]
            clipped[kept, 1] = polygon[i, 1]
            kept += 1
        if (here < 0.0 < there) or (there < 0.0 < here):
            share = here / (here - there)
            clipped[kept, axis] = sign * limit
            clipped[kept, other] = polygon[i, other] + share * (
                polygon[j, other] - polygon[i, other]
            )
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def intersection_area(
    first: FloatArray, second: FloatArray, buffer_a: FloatArray, buffer_b: FloatArray
) -> float:
    """Area shared by two rectangles [m^2]; the buffers are scratch space of shape (8, 2)."""
    cos_first, sin_first = np.cos(first[4]), np.sin(first[4])
    dx, dy = second[0] - first[0], second[1] - first[1]
    centre_x = cos_first * dx + sin_first * dy
    centre_y = cos_first * dy - sin_first * dx
    turn = second[4] - first[4]
    cos_turn, sin_turn = np.cos(turn), np.sin(turn)
    along_x, along_y = 0.5 * second[2] * cos_turn, 0.5 * second[2] * sin_turn
    across_x, across_y = -0.5 * second[3] * sin_turn, 0.5 * second[3] * cos_turn
    buffer_a[0, 0], buffer_a[0, 1] = centre_x + along_x + across_x, centre_y + along_y + across_y
    buffer_a[1, 0], buffer_a[1, 1] = centre_x - along_x + across_x, centre_y - along_y + across_y
    buffer_a[2, 0], buffer_a[2, 1] = centre_x - along_x - across_x, centre_y - along_y - across_y
    buffer_a[3, 0], buffer_a[3, 1] = centre_x + along_x - across_x, centre_y + along_y - across_y

    half_length, half_width = 0.5 * first[2], 0.5 * first[3]
    count = _clip(buffer_a, 4, buffer_b, 0, 1.0, half_length)
    count = _clip(buffer_b, count, buffer_a, 0, -1.0, half_length)
    count = _clip(buffer_a, count, buffer_b, 1, 1.0, half_width)
    count = _clip(buffer_b, count, buffer_a, 1, -1.0, half_width)

    doubled = 0.0
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        doubled += buffer_a[i, 0] * buffer_a[j, 1] - buffer_a[j, 0] * buffer_a[i, 1]
    return max(0.5 * doubled, 0.0)


@njit(cache=True, nogil=True)
def _radii(rectangles: FloatArray) -> FloatArray:
    """Circumscribed radius of each rectangle, (N,)."""
    radii = np.empty(len(rectangles))
    for i in range(len(rectangles)):
        radii[i] = 0.5 * np.hypot(rectangles[i, 2], rectangles[i, 3])
    return radii


@njit(cache=True, nogil=True)
def _iou(
    first: FloatArray, second: FloatArray, buffer_a: FloatArray, buffer_b: FloatArray
) -> float:
    """Intersection over union of two rectangles; 0 where the union has no area."""
    shared = intersection_area(first, second, buffer_a, buffer_b)
    union = first[2] * first[3] + second[2] * second[3] - shared
    return min(shared / union, 1.0) if union > 0.0 else 0.0


@njit(cache=True, nogil=True)
def pairwise_iou(rectangles_a: FloatArray, rectangles_b: FloatArray) -> FloatArray:
    """Intersection over union of every pair, (N, M) float64; sizes must not be negative."""
    radii_a, radii_b = _radii(rectangles_a), _radii(rectangles_b)
    buffer_a, buffer_b = np.empty((_MAX_CORNERS, 2)), np.empty((_MAX_CORNERS, 2))
    result = np.zeros((len(rectangles_a), len(rectangles_b)))
    for i in range(len(rectangles_a)):
        for j in range(len(rectangles_b)):
            dx = rectangles_a[i, 0] - rectangles_b[j, 0]
            dy = rectangles_a[i, 1] - rectangles_b[j, 1]
            reach = radii_a[i] + radii_b[j]
            if dx * dx + dy * dy <= reach * reach:
                result[i, j] = _iou(rectangles_a[i], rectangles_b[j], buffer_a, buffer_b)
    return result


@njit(cache=True, nogil=True)
def overlaps_above(
    rectangles: FloatArray,
    chosen: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    threshold: float,
) -> FloatArray:
    """Intersection over union of some rectangles with all, where it is above a threshold.

    Args:
        rectangles: (N, 5) float64; sizes must not be negative.
        chosen: (K,) int64, numbers of the rectangles that are compared with all.
        groups: (N,) int64; only rectangles of one group are compared.
        threshold: smaller overlaps are left at 0.

    Returns:
        (K, N) float64.
    """
    count = len(rectangles)
    radii = _radii(rectangles)
    buffer_a, buffer_b = np.empty((_MAX_CORNERS, 2)), np.empty((_MAX_CORNERS, 2))
    result = np.zeros((len(chosen), count))
    for row in range(len(chosen)):
        i = chosen[row]
        area_i = rectangles[i, 2] * rectangles[i, 3]
        for j in range(count):
            if groups[i] != groups[j]:
                continue
            dx = rectangles[i, 0] - rectangles[j, 0]
            dy = rectangles[i, 1] - rectangles[j, 1]
            reach = radii[i] + radii[j]
            if dx * dx + dy * dy > reach * reach:
                continue
            # IoU cannot exceed the ratio of the areas, so very unequal pairs need no clipping.
            area_j = rectangles[j, 2] * rectangles[j, 3]
            if min(area_i, area_j) <= threshold * max(area_i, area_j):
                continue
            overlap = _iou(rectangles[i], rectangles[j], buffer_a, buffer_b)
            if overlap > threshold:
                result[row, j] = overlap
    return result


@njit(cache=True, nogil=True)
def suppress(
    rectangles: FloatArray, groups: npt.NDArray[np.int64], threshold: float
) -> npt.NDArray[np.bool_]:
    """Greedy non-maximum suppression of rectangles that come in descending score.

    Args:
        rectangles: (N, 5) float64, best first.
        groups: (N,) int64; only rectangles of one group suppress each other.
        threshold: a rectangle is dropped where its IoU with a kept, better one is above this.

    Returns:
        (N,) bool, True for the kept ones.
    """
    count = len(rectangles)
    radii = _radii(rectangles)
    buffer_a, buffer_b = np.empty((_MAX_CORNERS, 2)), np.empty((_MAX_CORNERS, 2))
    kept = np.ones(count, dtype=np.bool_)
    for i in range(count):
        if not kept[i]:
            continue
        area_i = rectangles[i, 2] * rectangles[i, 3]
        for j in range(i + 1, count):
            if not kept[j] or groups[i] != groups[j]:
                continue
            dx = rectangles[i, 0] - rectangles[j, 0]
            dy = rectangles[i, 1] - rectangles[j, 1]
            reach = radii[i] + radii[j]
            if dx * dx + dy * dy > reach * reach:
                continue
            # IoU cannot exceed the ratio of the areas, so very unequal pairs need no clipping.
            area_j = rectangles[j, 2] * rectangles[j, 3]
            if min(area_i, area_j) <= threshold * max(area_i, area_j):
                continue
            if _iou(rectangles[i], rectangles[j], buffer_a, buffer_b) > threshold:
                kept[j] = False
    return kept
