# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The plane that the ground around a LiDAR lies in, from one cloud.

Random sample consensus (Fischler and Bolles, 1981) with the truncated quadratic score of MSAC (Torr
and Zisserman, 2000), on the lowest point of every square metre so that near ground does not outvote
the rest; then least squares on the ground points of those squares. The draws are the same for every
cloud, so that equal clouds have equal planes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def lowest_points(points: Float32, reach: float, cell: float) -> Float64:
    """Return the lowest point of each square cell around the origin, (N, 3).

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        reach: horizontal distance from the origin, metres.
        cell: side of a cell, metres.
    """
    side = int(np.ceil(2 * reach / cell))
    lowest = np.full(side * side, -1, np.int64)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if not (x * x + y * y < reach * reach and np.isfinite(z)):
            continue
        place = int((y + reach) / cell) * side + int((x + reach) / cell)
        if lowest[place] < 0 or z < points[lowest[place], 2]:
            lowest[place] = i
    return _rows(points, lowest)


@njit(cache=True, nogil=True)
def first_of_voxels(points: Float32, reach: float, size: float) -> Float64:
    """Return the first point in each cubic voxel around the origin, (N, 3).

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        reach: distance from the origin along each axis, metres.
        size: side of a voxel, metres.
    """
    side = int(np.ceil(2 * reach / size))
    first = np.full(side * side * side, -1, np.int64)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if not (abs(x) < reach and abs(y) < reach and abs(z) < reach):
            continue
        place = (int((z + reach) / size) * side + int((y + reach) / size)) * side
        place += int((x + reach) / size)
        if first[place] < 0:
            first[place] = i
    return _rows(points, first)


@njit(cache=True, nogil=True)
def _rows(points: Float32, which: npt.NDArray[np.int64]) -> Float64:
    """Return x, y, z of the points that are named, those below 0 left out."""
    found = np.empty((np.count_nonzero(which >= 0), 3), np.float64)
    count = 0
    for i in which:
        if i >= 0:
            for axis in range(3):
                found[count, axis] = points[i, axis]
            count += 1
    return found


@njit(cache=True, nogil=True)
def best_plane(
    candidates: Float64,
    triples: npt.NDArray[np.int64],
    axis: Float64,
    least_cosine: float,
    band: float,
    below_cost: float,
) -> tuple[Float64, float]:
    """Return the plane through three candidates that most candidates lie on, and its score.

    A candidate scores 1 on the plane, falling with the square of its distance to 0 at the band, and
    costs `below_cost` where it lies further below: nothing lies under the ground.

    Args:
        candidates: (N, 3).
        triples: (K, 3) rows of candidates.
        axis: (3,) unit vector that the plane's normal points along.
        least_cosine: least cosine of the angle between normal and axis.
        band: metres.
        below_cost: see above.

    Returns:
        (4,) unit normal and d with n·p + d = 0 on the plane, and the score; -inf where no triple
        makes a plane.
    """
    best, best_score = np.zeros(4), -np.inf
    per_square = 1.0 / (band * band)
    for k in range(len(triples)):
        a, b, c = triples[k]
        ux, uy, uz = _between(candidates, a, b)
        vx, vy, vz = _between(candidates, a, c)
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length < 1.0:  # nearly on a line
            continue
        if nx * axis[0] + ny * axis[1] + nz * axis[2] < 0:
            length = -length
        nx, ny, nz = nx / length, ny / length, nz / length
        if nx * axis[0] + ny * axis[1] + nz * axis[2] < least_cosine:
            continue
        d = -(nx * candidates[a, 0] + ny * candidates[a, 1] + nz * candidates[a, 2])
        score = 0.0
        for i in range(len(candidates)):
            distance = nx * candidates[i, 0] + ny * candidates[i, 1] + nz * candidates[i, 2] + d
            score += max(1.0 - distance * distance * per_square, 0.0)
            if distance < -band:
                score -= below_cost
        if score > best_score:
            best_score = score
            best[0], best[1], best[2], best[3] = nx, ny, nz, d
    return best, best_score


@njit(cache=True, nogil=True)
def _between(rows: Float64, one: int, other: int) -> tuple[float, float, float]:
    """Return x, y, z from one row to another."""
    return (
        rows[other, 0] - rows[one, 0],
        rows[other, 1] - rows[one, 1],
        rows[other, 2] - rows[one, 2],
    )


@njit(cache=True, nogil=True)
def ground_of_cells(
    points: Float32, plane: Float64, reach: float, cell: float, band: float
) -> Float64:
    """Return the mean, (N, 3), of each cell's points that lie within a band around a plane.

    Args:
        points: (P, 3 or more) x, y, z; those that are not finite or beyond reach are left out.
        plane: (4,) unit normal and d, n·p + d = 0.
        reach: horizontal distance from the origin, metres.
        cell: side of a cell, metres.
        band: metres to either side.
    """
    side = int(np.ceil(2 * reach / cell))
    sums = np.zeros((side * side, 4), np.float64)
    for i in range(len(points)):
        x, y, z = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        if not (x * x + y * y < reach * reach):
            continue
        if not abs(plane[0] * x + plane[1] * y + plane[2] * z + plane[3]) < band:
            continue
        place = int((y + reach) / cell) * side + int((x + reach) / cell)
        sums[place, 0] += x
        sums[place, 1] += y
        sums[place, 2] += z
        sums[place, 3] += 1.0
    held = sums[sums[:, 3] > 0]
    return held[:, :3] / held[:, 3:]


@njit(cache=True, nogil=True)
def central_moments(points: Float64) -> tuple[Float64, Float64]:
    """Return the centre (3,) of points (N, 3), and their covariance (3, 3).

    Libraries of linear algebra wake their threads for it, which takes longer.
    """
    count = len(points)
    centre, moments = np.zeros(3), np.zeros((3, 3))
    for i in range(count):
        for row in range(3):
            centre[row] += points[i, row] / count
    for i in range(count):
        for row in range(3):
            for column in range(3):
                moments[row, column] += (
                    (points[i, row] - centre[row]) * (points[i, column] - centre[column]) / count
                )
    return centre, moments


#: Ground further away is not looked at: it is seen under flat angles, and may lie otherwise.
REACH = 40.0
#: Roads are no steeper: 12 %.
MAX_SLOPE = 0.12
#: Side of the squares of which each has one vote, metres.
CELL = 1.0
#: A square lies on a plane up to this far from it [m]: kerbs, crowns and waves of a street.
BAND = 0.2
#: Least squares that a plane rests on.
LEAST_CELLS = 60
#: Least share of the squares with points that lie on it, where others show objects and walls.
LEAST_SHARE = 0.2
#: By how much more squares lie on it than in the layers of the same thickness above and below it:
#: points without a surface fill all three alike.
LEAST_CONTRAST = 1.5
#: Least standard deviation of the squares along the shorter direction of the area that they cover
#: [m]: a narrower strip says nothing of the tilt across it.
LEAST_SPREAD = 2.0

_HYPOTHESES = 300
#: A plane is laid anew so often at most, until no component of it changes by more than this: a
#: millimetre of height, or four at the reach.
_REFINEMENTS, _SETTLED = 5, 1e-4
#: More squares than this do not vote for a hypothesis: they would take time and change nothing.
_VOTERS = 1500
#: Of a cloud that may lie in any way: side of the cubes with a vote [m], cosine up to which a
#: plane's normal belongs to one of the six directions along the axes (a bit below that of a cube's
#: corner), what a vote below a plane costs (a façade has a street's returns to one side of it, but
#: for some behind its windows), and by how much more ground a plane must explain than one on which
#: the cloud stands upright.
_VOXEL = 1.0
_SIXTH = 0.55
_BELOW_COST = 2.0
_ADVANTAGE = 2.0
#: Origins so close to a plane may be on the ground themselves, metres.
_AT_THE_GROUND = 0.5
_DIRECTIONS = np.concatenate([np.eye(3)[::-1], -np.eye(3)])


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """A plane below a sensor.

    Attributes:
        normal: (3,) float64 unit vector, up from the ground, in the cloud's frame.
        height: height of the sensor above the plane, along the normal, metres, below 0 under it.
        cells: squares of ground that it rests on.
        share: share of the squares with points that lie on the plane, 0 to 1.
        spread: standard deviations of the squares along the shorter and the longer direction of the
            area that they cover, metres.
        residual: root mean square distance of the squares' ground from the plane, metres.
    """

    normal: Float64
    height: float
    cells: int
    share: float
    spread: tuple[float, float]
    residual: float

    @property
    def tilt(self) -> float:
        """Angle between normal and z axis, radians; above pi / 2 of a cloud upside down."""
        return float(np.arctan2(np.hypot(self.normal[0], self.normal[1]), self.normal[2]))

    def distance(self, points: npt.NDArray[np.floating]) -> Float64:
        """Return how far points (P, 3 or more) lie above the plane, (P,), metres."""
        return np.asarray(points[:, :3] @ self.normal + self.height, dtype=np.float64)


def fit_ground(
    points: Float32, *, reach: float = REACH, max_slope: float = MAX_SLOPE
) -> GroundPlane | None:
    """Return the ground plane of a cloud that stands upright.

    Args:
        points: (P, 3 or more) float32 x, y, z [m] in the sensor's frame, z up; values that are not
            finite are passed over.
        reach: horizontal distance up to which ground is looked for, metres.
        max_slope: steepest plane against the x-y plane, as its rise over run.

    Returns:
        The plane; `None` where there is none: too few squares, on too narrow a strip, most of them
        elsewhere, or no more on it than beside it.

    Raises:
        ValueError: for points of another shape or type.
    """
    cloud = _checked(points)
    candidates = lowest_points(cloud, reach, CELL)
    if len(candidates) < LEAST_CELLS:
        return None
    cosine = float(np.cos(np.arctan(max_slope)))
    plane = _consensus(candidates, np.array([0.0, 0.0, 1.0]), cosine, 0.0)
    if plane is None:
        return None
    found = _refined(cloud, plane, reach, len(candidates), max_slope)
    return found if found is not None and _stands_out(found, candidates) else None


def find_ground(points: Float32, *, reach: float = REACH) -> GroundPlane | None:
    """Return the ground plane of a cloud that may lie in any way: on its side, or upside down.

    In each of six directions it is the plane on which most lies and below which least does. A plane
    with the sensor under it is no ground; where the sensor is at its height, as after a transform
    to the vehicle's base, one with more below it than above is none. Of those left the one is taken
    that covers the largest area; that on which the cloud stands upright unless another covers twice
    as much. Slower than `fit_ground`, and to be asked where what that finds cannot be.

    Args:
        points: as for `fit_ground`.
        reach: distance up to which ground is looked for, metres.

    Returns:
        The plane; `None` where there is none.

    Raises:
        ValueError: for points of another shape or type.
    """
    cloud = _checked(points)
    candidates = first_of_voxels(cloud, reach, _VOXEL)
    best, best_area = None, 0.0
    for number, direction in enumerate(_DIRECTIONS):
        plane = _consensus(candidates, direction, _SIXTH, _BELOW_COST)
        found = None if plane is None else _stood_up(cloud, plane, reach)
        if found is not None and _lies_below(found, candidates):
            area = found.share * found.spread[0] * found.spread[1]
            if area > best_area:
                best, best_area = found, area * (_ADVANTAGE if number == 0 else 1.0)
    return best


def rotation_to_vertical(normal: Float64) -> Float64:
    """Return the (3, 3) rotation that brings a unit vector to the z axis by the shortest way.

    Its axis is horizontal, so that headings are turned as little as can be; a vector that points
    straight down is turned about the x axis.
    """
    x, y, z = (float(v) for v in normal)
    across = x * x + y * y
    if z < 0.0 and across < 1e-18:
        return np.diag([1.0, -1.0, -1.0])
    k = 1.0 / (1.0 + z) if z >= 0.0 else (1.0 - z) / across
    return np.array(
        [[1.0 - k * x * x, -k * x * y, -x], [-k * x * y, 1.0 - k * y * y, -y], [x, y, z]]
    )


def _checked(points: Float32) -> Float32:
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype != np.float32:
        raise ValueError(
            f"points: got {points.dtype} of shape {points.shape}, expected float32 (P, 3 or more)"
        )
    return points


def _consensus(
    candidates: Float64, direction: Float64, least_cosine: float, below_cost: float
) -> Float64 | None:
    """Return the plane (4,) that most candidates lie on; None where they make none."""
    if len(candidates) < LEAST_CELLS:
        return None
    voters = candidates[:: -(-len(candidates) // _VOTERS)]
    triples = np.random.default_rng(0).integers(0, len(voters), (_HYPOTHESES, 3))
    plane, score = best_plane(voters, triples, direction, least_cosine, BAND, below_cost)
    return plane if score > -np.inf else None


def _stood_up(points: Float32, plane: Float64, reach: float) -> GroundPlane | None:
    """Return the ground of a cloud that stands on a plane (4,), in the cloud's own frame."""
    upright = rotation_to_vertical(plane[:3])
    found = fit_ground(np.asarray(points[:, :3] @ upright.T, dtype=np.float32), reach=reach)
    return None if found is None else replace(found, normal=upright.T @ found.normal)


def _lies_below(plane: GroundPlane, candidates: Float64) -> bool:
    """Tell whether a plane lies below the sensor, or at its height and below most of a cloud."""
    if abs(plane.height) > _AT_THE_GROUND:
        return plane.height > 0
    distances = plane.distance(candidates)
    return bool(np.count_nonzero(distances > BAND) >= np.count_nonzero(distances < -BAND))


def _stands_out(plane: GroundPlane, candidates: Float64) -> bool:
    """Tell whether more of the squares lie on a plane than just above and just below it."""
    layers, _ = np.histogram(plane.distance(candidates), BAND * np.array([-3.0, -1.0, 1.0, 3.0]))
    return bool(layers[1] >= LEAST_CONTRAST * max(layers[0], layers[2]))


def _refined(
    points: Float32, plane: Float64, reach: float, squares: int, max_slope: float
) -> GroundPlane | None:
    """Lay a plane through the ground points near it, again and again; None if that is no ground."""
    for _ in range(_REFINEMENTS):
        ground = ground_of_cells(points, plane, reach, CELL, BAND)
        if len(ground) < LEAST_CELLS:
            return None
        centre, moments = central_moments(ground)
        (xx, xy, xz), (_, yy, yz), _ = moments
        middle, half = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
        spread = np.sqrt(np.maximum([middle - half, middle + half], 0.0))  # of a 2 x 2 matrix
        if spread[0] < LEAST_SPREAD:
            return None
        area = xx * yy - xy * xy
        slope_x, slope_y = (xz * yy - yz * xy) / area, (yz * xx - xz * xy) / area
        normal = np.array([-slope_x, -slope_y, 1.0]) / np.sqrt(1.0 + slope_x**2 + slope_y**2)
        before, plane = plane, np.array([*normal, -float(normal @ centre)])
        if np.abs(plane - before).max() < _SETTLED:
            break
    share = min(len(ground) / squares, 1.0)
    if share < LEAST_SHARE or np.hypot(slope_x, slope_y) > max_slope:
        return None
    residual = float(np.sqrt(max(normal @ moments @ normal, 0.0)))
    sizes = (float(spread[0]), float(spread[1]))
    return GroundPlane(plane[:3], float(plane[3]), len(ground), share, sizes, residual)
