# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ray casting against bodies whose distance is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.primitives import PartSet, box, concatenate, ellipsoid, profile
from quantv2x_ros.data.simulator.raycast import GLASS_RETURN, GROUND, NO_PART, cast_sweep

FloatArray = npt.NDArray[np.float64]
LEVEL = np.zeros((1, 4))
COLUMNS = 720
BEAMS = np.deg2rad(np.linspace(-20, 10, 31))


def sweep(
    parts: PartSet, pose: FloatArray, ground: FloatArray = LEVEL, roughness: float = 0.0
) -> tuple[FloatArray, npt.NDArray[np.int32], FloatArray, FloatArray]:
    """Cast a revolution and return depth, part, cosine and the (B, W, 3) ray directions."""
    depth, part, cosine = cast_sweep(
        parts,
        pose,
        ground,
        elevations=BEAMS,
        azimuth_offsets=np.zeros(len(BEAMS)),
        columns=COLUMNS,
        phase=-np.pi,
        max_range=100.0,
        roughness=roughness,
        salt=5,
    )
    azimuth = -np.pi + np.arange(COLUMNS) * 2 * np.pi / COLUMNS
    flat = np.cos(BEAMS)[:, None]
    direction = np.stack(
        [
            flat * np.cos(azimuth),
            flat * np.sin(azimuth),
            np.broadcast_to(np.sin(BEAMS)[:, None], (len(BEAMS), COLUMNS)),
        ],
        axis=-1,
    )
    return depth, part, cosine, direction


def at(*pose: float) -> FloatArray:
    return matrix_from_v2x(np.array(pose))


EMPTY = concatenate([])


def test_level_ground_lies_at_the_mounting_height() -> None:
    depth, part, _, direction = sweep(EMPTY, at(3, 4, 2.0, 0, 30, 0))
    points = depth[..., None] * direction
    assert np.allclose(points[part == GROUND][:, 2], -2.0, atol=1e-6)
    assert (part[BEAMS > 0] == NO_PART).all()
    assert (part[np.deg2rad(-2) > BEAMS] == GROUND).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_tilted_sensor_sees_the_true_surface_of_wavy_ground(seed: int) -> None:
    ground = Ground.random(np.random.default_rng(seed))
    pose = at(5, -3, ground.height(5, -3) + 2.0, 2.5, 110, -2.0)
    depth, part, _, direction = sweep(EMPTY, pose, ground.parameters)
    points = (depth[..., None] * direction)[(part == GROUND) & (depth < 45)]
    world = points @ pose[:3, :3].T + pose[:3, 3]
    error = [z - ground.height(x, y) for x, y, z in world[::37]]
    assert len(error) > 100
    assert np.abs(error).max() < 0.02


def test_a_wall_is_hit_at_its_distance_and_hides_what_is_behind() -> None:
    wall, hidden = box((10, 0, 1), (1, 8, 4)), box((14, 0, 1), (2, 2, 2))
    for parts, first in ((concatenate([wall, hidden]), 0), (concatenate([hidden, wall]), 1)):
        depth, part, cosine, direction = sweep(parts, at(0, 0, 1.5, 0, 0, 0))
        assert (part != 1 - first).all()
        points = (depth[..., None] * direction)[part == first]
        front = np.isclose(points[:, 0], 9.5, atol=1e-9)
        assert front.sum() > 500
        assert np.allclose(cosine[part == first][front], direction[part == first][front][:, 0])


def test_an_alone_standing_box_is_hit_by_every_ray_that_points_at_it() -> None:
    target = box((-8, 0.3, 1.2), (2, 3, 1.5), 0.7)  # across the azimuth's wrap at 180 degrees
    pose = at(0, 0, 1.5, 2, 10, -1)
    depth, part, _, direction = sweep(target, pose)
    world = direction @ pose[:3, :3].T
    steps = np.arange(5.0, 11.0, 0.01)
    for beam in range(0, len(BEAMS), 3):
        for column in range(0, COLUMNS, 5):
            line = pose[:3, 3] + steps[:, None] * world[beam, column]
            above = line[:, 2] > 0
            inside = target.contains(line) & above
            if inside.sum() > 3:
                assert part[beam, column] == 0
                assert abs(depth[beam, column] - steps[np.argmax(inside)]) < 0.02
            elif not inside.any():
                assert part[beam, column] != 0 or steps[-1] < depth[beam, column]


def test_a_sphere_is_hit_at_its_surface() -> None:
    ball = ellipsoid((12, 5, 3), (2, 2, 2))
    depth, part, _, direction = sweep(ball, at(0, 0, 2, 0, 0, 0))
    points = (depth[..., None] * direction)[part == 0] + (0, 0, 2)
    assert len(points) > 50
    assert np.allclose(np.linalg.norm(points - (12, 5, 3), axis=1), 2.0, atol=1e-6)


def test_foliage_returns_from_its_depth_and_lets_some_rays_through() -> None:
    whole = sweep(ellipsoid((12, 0, 3), (3, 3, 3)), at(0, 0, 2, 0, 0, 0))
    leaves = sweep(ellipsoid((12, 0, 3), (3, 3, 3), porosity=0.4), at(0, 0, 2, 0, 0, 0))
    share = (leaves[1] == 0).sum() / (whole[1] == 0).sum()
    # 0.6 through the middle, less towards the edge: on average over the disk 0.44
    assert share == pytest.approx(0.44, abs=0.06)
    points = (leaves[0][..., None] * leaves[3])[leaves[1] == 0] + (0, 0, 2)
    assert np.linalg.norm(points - (12, 0, 3), axis=1).max() < 3.0 + 1e-6
    assert np.linalg.norm(points - (12, 0, 3), axis=1).min() < 1.5


def test_a_mesh_closes_towards_grazing_rays() -> None:
    mesh = box((0, 4, 3), (80, 0.05, 6), porosity=0.9)
    _, part, _, direction = sweep(mesh, at(0, 0, 3, 0, 0, 0))
    hit, level = part == 0, np.abs(direction[..., 2]) < 0.06
    straight = hit[level & (direction[..., 1] > 0.97)].mean()
    grazing = hit[level & (direction[..., 1] > 0.12) & (direction[..., 1] < 0.2)].mean()
    assert straight == pytest.approx(0.1, abs=0.04)
    assert grazing > 3 * straight


def test_windows_reflect_their_share_and_show_what_is_behind() -> None:
    pane = profile([(-0.1, 0), (0.1, 0), (0.1, 6), (-0.1, 6)], 8, 8, glass_edges=(3,))
    scene = concatenate([pane.transformed(at(8, 0, 0, 0, 0, 0)), box((12, 0, 3), (1, 30, 12))])
    _, part, _, _ = sweep(scene, at(0, 0, 3, 0, 0, 0))
    window = part[np.abs(np.rad2deg(BEAMS)) < 8][:, COLUMNS // 2 - 40 : COLUMNS // 2 + 40]
    assert abs((window == 0).mean() - GLASS_RETURN) < 0.06
    assert set(np.unique(window)) == {0, 1}


def test_nothing_is_returned_beyond_the_maximum_range() -> None:
    _, part, _, _ = sweep(box((140, 0, 5), (1, 200, 40)), at(0, 0, 2, 0, 0, 0))
    assert (part != 0).all()


def test_a_part_around_the_sensor_does_not_blind_it() -> None:
    around = box((0, 0, 1), (4, 2, 3))
    depth, part, _, _ = sweep(
        concatenate([around, box((10, 0, 1), (1, 6, 2))]), at(0, 0, 2, 0, 0, 0)
    )
    assert (part != 0).all()
    assert (part == 1).sum() > 100
    assert depth.min() > 1.0
