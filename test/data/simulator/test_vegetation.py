# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plants look like plants: returns fill their volume, and gaps stay where they are."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.data.simulator.assembly import Assembly
from quantv2x_ros.data.simulator.foliage import GRAIN
from quantv2x_ros.data.simulator.primitives import PartSet, box
from quantv2x_ros.data.simulator.vegetation import add_climber, bed, bush, hedge, tree
from test.data.simulator.clouds import seen_from


@pytest.mark.parametrize("seed", range(6))
def test_returns_from_a_hedge_come_from_its_depth(seed: int) -> None:
    plant = hedge(np.random.default_rng(seed), 12.0)
    points, _ = seen_from(plant, 0.0, -6.0)
    front = plant.corners[..., 1].min()
    body = points[np.abs(points[:, 0]) < 4]
    assert len(body) > 500
    assert body[:, 1].std() > 0.08
    assert (body[:, 1] > front + 0.2).mean() > 0.3


def test_hedges_are_one_to_three_metres_high_and_thick() -> None:
    sizes = []
    for seed in range(40):
        corners = hedge(np.random.default_rng(seed), 8.0).corners
        sizes.append(np.ptp(corners[..., 1:].reshape(-1, 2), axis=0))
    thick, high = np.array(sizes).T
    assert np.percentile(high, 5) > 0.7
    assert np.percentile(high, 95) > 2.5
    assert high.max() < 4.0
    assert thick.min() > 0.5
    assert np.median(thick) > 1.0


def test_two_sweeps_see_the_same_leaves() -> None:
    leaves = box((0, 1.0, 1.5), (12, 2.0, 3.0), porosity=0.02)

    def counts(salt: int) -> np.ndarray:
        points, _ = seen_from(leaves, 0.0, -5.0, salt=salt)
        front = points[(points[:, 1] > 1e-6) & (points[:, 1] < GRAIN) & (points[:, 2] > 0.1)]
        cube = np.floor(front[:, [0, 2]] / GRAIN).astype(int)
        table = np.zeros((60, 20))
        np.add.at(table, (cube[:, 0] + 30, cube[:, 1]), 1)
        return table[15:45, 1:9].ravel()

    one, other = counts(1), counts(2)
    assert np.corrcoef(one, other)[0, 1] > 0.6
    assert np.percentile(one, 90) > 2 * max(np.percentile(one, 20), 1)


@pytest.mark.parametrize("thickness", [0.6, 2.4])
def test_returns_thin_out_with_depth(thickness: float) -> None:
    leaves = box((0, thickness / 2, 3), (60, thickness, 12), porosity=0.05)
    wall = box((0, thickness / 2, 3), (60, thickness, 12))

    def ahead(parts: PartSet) -> np.ndarray:
        points, _ = seen_from(parts, 0.0, -8.0, 3.0)
        return points[np.abs(points[:, 0]) < 0.3 * (points[:, 1] + 8.0), 1] / thickness

    into = ahead(leaves)
    thirds = np.histogram(into, bins=3, range=(0, 1))[0] / len(into)
    assert thirds[0] > 1.3 * thirds[1] > 1.3 * thirds[2] > 0
    assert len(into) / len(ahead(wall)) == pytest.approx(0.95, abs=0.05)


def test_a_low_crown_hangs_over_cars_but_leaves_room_for_them() -> None:
    for seed in range(12):
        parts = tree(np.random.default_rng(seed), low=True)
        crown = parts.select(parts.porosity > 0)
        assert 1.4 < crown.corners[..., 2].min() < 3.5
        assert np.ptp(crown.corners[..., 0]) > 1.2


def test_shrubs_and_beds_stand_on_the_ground_at_car_height() -> None:
    tops = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for plant in (bush(rng), bed(rng, 6.0, 2.0)):
            assert plant.corners[..., 2].min() <= 0.05
            tops.append(plant.corners[..., 2].max())
    assert 0.4 < np.percentile(tops, 10) < 1.2
    assert 1.5 < np.percentile(tops, 90) < 4.0


def test_a_climber_covers_a_wall_with_a_thin_layer() -> None:
    plan = Assembly()
    add_climber(np.random.default_rng(0), plan, (0.0, 6.0), 3.0)
    corners = plan.parts().corners
    assert (plan.parts().porosity > 0).all()
    assert -0.45 <= corners[..., 1].min() < -0.1
    assert corners[..., 1].max() == 0.0
