# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a labelled cloud is like: how dense, what stands beside the objects, how rough the ground.

Real streets and simulated ones are compared by these numbers; all are of one sweep in its agent's
LiDAR frame, and heights are above the plane of the ground around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.placement.ground_plane import CELL, GroundPlane, ground_of_cells

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: Side of a pillar, metres, and the points of which a pillar keeps no more.
PILLAR, KEPT = 0.4, 32
#: Extent of the grid in which pillars are filled: x and y to both sides, metres.
EXTENT = (140.8, 40.0)
#: Things are looked at up to this far from the sensor, and ground, metres.
NEAR = 40.0
#: What is higher than this above the ground stands on it, metres.
TALL = 0.3
#: Tops of what may be taken for a vehicle, metres.
CAR_TOPS = (1.5, 3.0)
#: Points so far outside a labelled box belong to its object, metres: labels are not that tight.
MARGIN = 0.2
#: What lies further from the plane of the ground is not counted as ground, metres.
GROUND_BAND = 0.5
#: Least tall points of a pillar in which something stands, and around it to tell its shape.
LEAST_TALL, LEAST_AROUND = 3, 6
#: Standard deviation across the surface that points around a pillar lie on at best, metres: above
#: it they are scattered, below it that surface is a plane.
SCATTERED = 0.1
#: The normal of a vertical plane is this near to the horizontal: sine of the angle.
UPRIGHT = 0.35


@dataclass(frozen=True)
class CloudStatistics:
    """Counts and measures of one labelled sweep.

    Attributes:
        points: number of points.
        pillars: pillars with points.
        full_pillars: those with more points than a pillar keeps.
        unlabelled: pillars near the sensor in which something taller than `TALL` stands outside
            all labelled boxes.
        unlabelled_car_tops: of those, where its top is as high as that of a vehicle.
        labelled: pillars near the sensor in which something tall stands within a labelled box.
        shaped: unlabelled pillars with enough points around to tell their shape.
        scattered: of those, with points spread in all directions.
        vertical: of those, with points on a vertical plane or line.
        ground_residual: root mean square distance of the ground from its best plane, metres; NaN
            where the cloud has no ground that can be told, and then nothing is tall.
    """

    points: int
    pillars: int
    full_pillars: int
    unlabelled: int
    unlabelled_car_tops: int
    labelled: int
    shaped: int
    scattered: int
    vertical: int
    ground_residual: float


def cloud_statistics(
    points: Float32, boxes: npt.NDArray[np.floating], plane: GroundPlane | None
) -> CloudStatistics:
    """Measure a sweep.

    Args:
        points: (P, 3 or more) float32 x, y, z in the LiDAR frame, metres.
        boxes: (N, 7) x, y, z, l, w, h, yaw of the labelled objects in that frame.
        plane: the ground of the cloud; None where it has none that can be told.
    """
    counts = _pillar_counts(points)
    full = int((counts > KEPT).sum())
    if plane is None:
        return CloudStatistics(len(points), len(counts), full, 0, 0, 0, 0, 0, 0, float("nan"))
    heights = plane.distance(points)
    tall = (np.hypot(points[:, 0], points[:, 1]) < NEAR) & (heights > TALL)
    stands, above = points[tall, :3].astype(np.float64), heights[tall]
    owned = inside_any(stands, boxes)
    places, tops = _standing(stands[~owned], above[~owned])
    low, high = CAR_TOPS
    shaped, scattered, vertical = _shapes(stands[~owned], places)
    return CloudStatistics(
        len(points),
        len(counts),
        full,
        len(places),
        int(((tops >= low) & (tops < high)).sum()),
        len(_standing(stands[owned], above[owned])[0]),
        shaped,
        scattered,
        vertical,
        ground_residual(points, plane),
    )


def ground_residual(points: Float32, plane: GroundPlane) -> float:
    """Return how far the ground lies off its best plane, metres, as root mean square.

    Each square of a metre has one vote, the mean of what lies within `GROUND_BAND` of the plane.
    """
    table = np.array([*plane.normal, plane.height])
    ground = ground_of_cells(points, table, NEAR, CELL, GROUND_BAND)
    return float(np.sqrt(np.mean(plane.distance(ground) ** 2)))


def inside_any(points: Float64, boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return (P,) whether each of (P, 3) points lies in any of (N, 7) boxes, or `MARGIN` beside."""
    inside = np.zeros(len(points), bool)
    for x, y, z, length, width, height, yaw in boxes.astype(np.float64):
        offset = points - (x, y, z)
        along = np.cos(yaw) * offset[:, 0] + np.sin(yaw) * offset[:, 1]
        across = np.cos(yaw) * offset[:, 1] - np.sin(yaw) * offset[:, 0]
        inside |= (
            (np.abs(along) <= length / 2 + MARGIN)
            & (np.abs(across) <= width / 2 + MARGIN)
            & (np.abs(offset[:, 2]) <= height / 2 + MARGIN)
        )
    return inside


def _pillar_counts(points: Float32) -> npt.NDArray[np.int64]:
    """Return the numbers of points in the pillars of the grid that have any."""
    x, y = points[:, 0], points[:, 1]
    cells = _cells(points[(np.abs(x) < EXTENT[0]) & (np.abs(y) < EXTENT[1])])
    if not len(cells):
        return np.zeros(0, np.int64)
    return np.unique(cells, axis=0, return_counts=True)[1].astype(np.int64)


def _cells(points: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return (P, 2) columns and rows of the pillars of points."""
    return np.floor(points[:, :2] / PILLAR).astype(np.int64)


def _standing(points: Float64, heights: Float64) -> tuple[npt.NDArray[np.int64], Float64]:
    """Return the pillars (K, 2) in which tall points stand, and the highest of each, metres."""
    cells, pillar, counts = np.unique(
        _cells(points), axis=0, return_inverse=True, return_counts=True
    )
    tops = np.full(len(cells), -np.inf)
    np.maximum.at(tops, pillar.reshape(-1), heights)
    stands = counts >= LEAST_TALL
    return cells[stands], tops[stands]


def _shapes(points: Float64, places: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    """Count pillars with enough points in them and their eight neighbours, scattered, vertical."""
    if not len(places):
        return 0, 0, 0
    side = 2 * int(np.ceil(NEAR / PILLAR)) + 3
    cells = _cells(points) + side // 2
    flat = cells[:, 1] * side + cells[:, 0]
    terms = np.stack([np.ones(len(points)), *points.T, *_products(points).T])
    grids = [np.bincount(flat, weights=term, minlength=side * side) for term in terms]
    whole = np.stack(grids).reshape(len(terms), side, side)
    around = np.zeros_like(whole)
    for i, j in np.ndindex(3, 3):
        around += np.roll(whole, (i - 1, j - 1), axis=(1, 2))
    sums = around[:, places[:, 1] + side // 2, places[:, 0] + side // 2]
    sums = sums[:, sums[0] >= LEAST_AROUND]
    mean = sums[1:4] / sums[0]
    spread = sums[4:] / sums[0] - _products(mean.T).T
    covariance = spread[[0, 3, 4, 3, 1, 5, 4, 5, 2]].T.reshape(-1, 3, 3)
    values, vectors = np.linalg.eigh(covariance)
    scattered = values[:, 0] > SCATTERED**2
    vertical = ~scattered & (np.abs(vectors[:, 2, 0]) < UPRIGHT)
    return len(covariance), int(scattered.sum()), int(vertical.sum())


def _products(points: Float64) -> Float64:
    """Return (P, 6) xx, yy, zz, xy, xz, yz."""
    x, y, z = points.T
    return np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
