# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of clouds whose answers are known by construction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.placement.ground_plane import fit_ground
from quantv2x_ros.doctor.cloud_statistics import (
    CloudStatistics,
    cloud_statistics,
    ground_residual,
    inside_any,
)

Float32 = npt.NDArray[np.float32]
NO_BOXES = np.zeros((0, 7))
HEIGHT = 1.9


def street(spacing: float = 0.5, bend: float = 0.0, grade: float = 0.0) -> Float32:
    """Bare ground around a LiDAR, with a crest across the x axis or a grade along it."""
    axis = np.arange(-45.0, 45.0, spacing) + spacing / 4
    x, y = (v.ravel() for v in np.meshgrid(axis, axis))
    z = -HEIGHT - bend * x**2 / 2 + grade * x
    return np.stack([x, y, z, 0 * x], axis=1).astype(np.float32)


def with_more(ground: Float32, *clouds: npt.NDArray[np.floating]) -> Float32:
    """The ground, and (P, 3) clouds with heights above it."""
    rows = [np.c_[c[:, :2], c[:, 2] - HEIGHT, np.zeros(len(c))] for c in clouds]
    return np.concatenate([ground, *rows]).astype(np.float32)


def block(
    x: float, y: float, z: tuple[float, float], size: tuple[float, float], count: int
) -> npt.NDArray[np.float64]:
    """Points that fill a box evenly at random."""
    rng = np.random.default_rng(1)
    low, high = (x, y, z[0]), (x + size[0], y + size[1], z[1])
    return rng.uniform(low, high, (count, 3))


def measure(points: Float32, boxes: npt.NDArray[np.floating] = NO_BOXES) -> CloudStatistics:
    return cloud_statistics(points, boxes, fit_ground(points))


def test_bare_level_ground_has_nothing_on_it() -> None:
    found = measure(street())
    assert found.points == 180**2
    assert (found.unlabelled, found.labelled, found.shaped, found.full_pillars) == (0, 0, 0, 0)
    assert found.ground_residual == pytest.approx(0.0, abs=1e-5)


def test_each_pillar_counts_once_where_three_points_stand_in_it() -> None:
    pillars = [(8.0, 4.0), (12.0, -6.0), (-20.0, 2.0)]
    posts = [block(x + 0.1, y + 0.1, (0.5, 1.0), (0.1, 0.1), 3) for x, y in pillars]
    two = block(-8.1, 4.1, (0.5, 1.0), (0.1, 0.1), 2)
    far = block(41.0, 0.1, (0.5, 1.0), (0.1, 0.1), 9)
    low = block(4.1, 0.1, (0.05, 0.25), (0.1, 0.1), 9)
    assert measure(with_more(street(), *posts, two, far, low)).unlabelled == 3


@pytest.mark.parametrize(("top", "counted"), [(1.4, 0), (2.0, 1), (2.9, 1), (3.4, 0)])
def test_tops_as_high_as_vehicles_are_told(top: float, counted: int) -> None:
    post = np.array([[8.1, 4.1, 0.5], [8.15, 4.1, 0.6], [8.1, 4.15, top]])
    found = measure(with_more(street(), post))
    assert (found.unlabelled, found.unlabelled_car_tops) == (1, counted)


def test_what_stands_in_a_labelled_box_is_labelled() -> None:
    car = block(10.0, 4.0, (0.4, 1.4), (4.0, 2.0), 4000)
    hedge = block(10.0, 8.0, (0.4, 1.4), (4.0, 2.0), 4000)
    box = np.array([[12.0, 5.0, 0.75 - HEIGHT, 4.0, 2.0, 1.5, 0.0]])
    found = measure(with_more(street(), car, hedge), box)
    assert found.labelled == found.unlabelled == 50
    alone = measure(with_more(street(), car, hedge))
    assert (alone.labelled, alone.unlabelled) == (0, 100)


def test_a_full_pillar_has_more_than_thirty_two_points() -> None:
    for count, full in ((31, 0), (33, 1)):
        post = block(8.05, 4.05, (0.5, 1.5), (0.1, 0.1), count)
        bare = street()
        found = measure(np.concatenate([bare[~_in_pillar(bare)], with_more(bare[:0], post)]))
        assert found.full_pillars == full
    assert found.pillars == len(np.unique(np.floor(bare[_in_grid(bare), :2] / 0.4), axis=0))


def _in_pillar(points: Float32) -> npt.NDArray[np.bool_]:
    return np.asarray((np.floor(points[:, :2] / 0.4) == (20, 10)).all(axis=1))


def _in_grid(points: Float32) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(points[:, 1]) < 40.0)


def test_bushes_are_scattered_and_walls_are_vertical_planes() -> None:
    bush = block(8.0, 4.0, (0.4, 2.0), (3.0, 3.0), 6000)
    wall = block(-20.0, -10.0, (0.4, 3.0), (12.0, 0.02), 6000)
    roof = block(10.0, -14.0, (2.5, 2.52), (6.0, 6.0), 6000)
    for cloud, scattered, vertical in ((bush, 1, 0), (wall, 0, 1), (roof, 0, 0)):
        found = measure(with_more(street(), cloud))
        assert found.shaped == found.unlabelled > 20
        assert found.scattered / found.shaped == pytest.approx(scattered, abs=0.05)
        assert found.vertical / found.shaped == pytest.approx(vertical, abs=0.05)


def test_heights_are_above_the_plane_of_a_street_that_climbs() -> None:
    found = measure(street(grade=0.06))
    assert found.unlabelled == 0, "30 m on the street lies 1.8 m above the sensor's feet"
    assert found.ground_residual == pytest.approx(0.0, abs=1e-4)


def test_the_residual_of_a_crest_is_that_of_its_parabola() -> None:
    points = street(bend=0.0005)
    plane = fit_ground(points)
    assert plane is not None
    inside = points[np.hypot(points[:, 0], points[:, 1]) < 40.0].astype(np.float64)
    offset = plane.distance(inside)
    expected = np.sqrt(np.mean(offset[np.abs(offset) < 0.5] ** 2))
    assert ground_residual(points, plane) == pytest.approx(expected, rel=0.03)
    assert 0.1 < expected < 0.3


def test_without_a_ground_nothing_is_tall() -> None:
    cloud = np.random.default_rng(0).uniform(-40, 40, (3000, 4)).astype(np.float32)
    found = cloud_statistics(cloud, NO_BOXES, None)
    assert found.points == 3000
    assert np.isnan(found.ground_residual)
    assert (found.unlabelled, found.labelled) == (0, 0)


def test_an_empty_cloud_is_measured_too() -> None:
    found = cloud_statistics(np.zeros((0, 4), np.float32), NO_BOXES, None)
    assert (found.points, found.pillars, found.full_pillars) == (0, 0, 0)


def test_points_are_inside_turned_boxes_and_a_hand_beside() -> None:
    box = np.array([[10.0, 0.0, 0.0, 4.0, 2.0, 1.5, np.pi / 2]])
    points = np.array([[10.0, 2.1, 0.0], [12.1, 0.0, 0.0], [10.0, 2.3, 0.0], [10.0, 0.0, 1.0]])
    assert inside_any(points, box).tolist() == [True, False, False, False]
