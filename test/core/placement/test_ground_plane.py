# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground plane of a cloud: found among clutter, and not found where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms3d.euler import euler2mat

from quantv2x_ros.core.placement.ground_plane import (
    MAX_SLOPE,
    find_ground,
    fit_ground,
    rotation_to_vertical,
)

SLOPES = st.floats(-0.08, 0.08)
HEIGHTS = st.floats(0.5, 8.0)
SEEDS = st.integers(0, 2**32 - 1)


def rings(rng: np.random.Generator, slope_x: float, slope_y: float, height: float) -> np.ndarray:
    """Ground as a LiDAR sees it: rings that grow apart, with a gap where something stands."""
    radius = height / np.tan(np.radians(np.arange(2.0, 25.0, 0.7)))
    radius = np.concatenate([radius[radius < 60.0], np.linspace(3.0, 60.0, 20)])
    angle = np.linspace(0.5, 2 * np.pi, 500)
    x, y = (np.outer(radius, turn(angle)).ravel() for turn in (np.cos, np.sin))
    z = slope_x * x + slope_y * y - height + rng.normal(0, 0.02, len(x))
    return np.stack([x, y, z, np.zeros_like(x)], axis=1).astype(np.float32)


def clutter(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Objects and crowns over a fifth of the ground, and a few reflections under it."""
    over = ground[rng.random(len(ground)) < 0.2].copy()
    over[:, 2] += rng.uniform(0.3, 6.0, len(over)).astype(np.float32)
    under = ground[rng.random(len(ground)) < 0.01].copy()
    under[:, 2] -= rng.uniform(0.5, 4.0, len(under)).astype(np.float32)
    return np.concatenate([ground, over, under])


@settings(max_examples=40, deadline=None)
@given(SEEDS, SLOPES, SLOPES, HEIGHTS)
def test_a_slope_is_found_among_clutter(seed: int, sx: float, sy: float, height: float) -> None:
    rng = np.random.default_rng(seed)
    plane = fit_ground(clutter(rng, rings(rng, sx, sy, height)))
    assert plane is not None
    norm = np.sqrt(1 + sx**2 + sy**2)
    assert np.allclose(plane.normal, np.array([-sx, -sy, 1.0]) / norm, atol=0.004)
    assert plane.height == pytest.approx(height / norm, abs=0.03)
    assert plane.share > 0.5
    assert plane.tilt == pytest.approx(np.arctan(np.hypot(sx, sy)), abs=0.004)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SLOPES, SLOPES, st.floats(-np.pi, np.pi))
def test_a_turned_cloud_has_the_turned_plane(seed: int, sx: float, sy: float, yaw: float) -> None:
    rng = np.random.default_rng(seed)
    cloud = clutter(rng, rings(rng, sx, sy, 2.0))
    turn = euler2mat(0, 0, yaw)
    turned = cloud.copy()
    turned[:, :3] = cloud[:, :3] @ turn.T
    one, other = fit_ground(cloud), fit_ground(turned)
    assert one is not None
    assert other is not None
    assert np.allclose(turn @ one.normal, other.normal, atol=0.004)
    assert one.height == pytest.approx(other.height, abs=0.03)


def test_the_same_cloud_has_the_same_plane() -> None:
    rng = np.random.default_rng(3)
    cloud = clutter(rng, rings(rng, 0.02, -0.05, 1.9))
    one = fit_ground(cloud)
    other = fit_ground(cloud.copy())
    assert one is not None
    assert other is not None
    assert np.array_equal(one.normal, other.normal)
    assert one.height == other.height


def test_points_above_the_plane_have_positive_distances() -> None:
    plane = fit_ground(rings(np.random.default_rng(0), 0.05, 0.0, 2.0))
    assert plane is not None
    assert plane.distance(np.array([[10.0, 0.0, 0.0]]))[0] == pytest.approx(1.5, abs=0.02)


def test_a_ground_at_the_height_of_the_origin_is_found() -> None:
    plane = fit_ground(rings(np.random.default_rng(0), 0.0, 0.0, 2.0) + np.float32([0, 0, 2.1, 0]))
    assert plane is not None
    assert plane.height == pytest.approx(-0.1, abs=0.02)


@pytest.mark.parametrize(
    "cloud", ["empty", "few", "noise", "sparse noise", "wall", "strip", "steep", "nan"]
)
def test_where_there_is_no_ground_none_is_found(cloud: str) -> None:
    rng = np.random.default_rng(0)
    along, up = rng.uniform(-40, 40, 20000), rng.uniform(-2, 10, 20000)
    clouds = {
        "empty": np.empty((0, 4)),
        "few": rings(rng, 0, 0, 2.0)[:40],
        "sparse noise": rng.uniform((-20, -20, -2), (20, 20, 1), (3000, 3)),
        "noise": rng.uniform(-40, 40, (20000, 3)),
        "wall": np.stack([along, np.full(20000, 12.0) + rng.normal(0, 0.02, 20000), up], axis=1),
        "strip": np.stack([along, rng.uniform(-2, 2, 20000), np.full(20000, -2.0)], axis=1),
        "steep": rings(rng, 0.2, 0, 2.0),
        "nan": np.full((5000, 4), np.nan),
    }
    assert fit_ground(clouds[cloud].astype(np.float32)) is None


def test_a_steeper_plane_is_found_where_that_is_asked_for() -> None:
    cloud = rings(np.random.default_rng(0), 0.2, 0.0, 2.0)
    plane = fit_ground(cloud, max_slope=0.3)
    assert plane is not None
    assert np.tan(plane.tilt) == pytest.approx(0.2, abs=0.005)
    assert MAX_SLOPE < 0.2


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_the_ground_of_a_cloud_that_lies_in_any_way_is_found(
    seed: int, roll: float, pitch: float, yaw: float
) -> None:
    rng = np.random.default_rng(seed)
    cloud = clutter(rng, rings(rng, 0.0, 0.0, 2.0))
    turn = euler2mat(*np.radians([roll, pitch, yaw]))
    cloud[:, :3] = cloud[:, :3] @ turn.T
    plane = find_ground(cloud)
    assert plane is not None
    assert np.degrees(np.arccos(min(plane.normal @ turn[:, 2], 1.0))) < 0.5
    assert plane.height == pytest.approx(2.0, abs=0.05)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_the_rotation_to_the_vertical_keeps_headings_as_well_as_it_can(values: list[float]) -> None:
    normal = np.array(values)
    length = np.linalg.norm(normal)
    if length < 0.1:
        return
    normal /= length
    rotation = rotation_to_vertical(normal)
    assert np.allclose(rotation @ normal, [0, 0, 1], atol=1e-6)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    if normal[2] > 0.0:
        # its axis is horizontal: the part that is not symmetric has no turn about z
        assert rotation[0, 1] == pytest.approx(rotation[1, 0], abs=1e-6)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (2, 5, 3)])
def test_a_cloud_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected float32"):
        fit_ground(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="float64"):
        find_ground(np.zeros((5, 4)))  # type: ignore[arg-type]
