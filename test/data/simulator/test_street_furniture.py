# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Furniture and boundaries of streets: on the ground, of their size, open where they are mesh."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.data.simulator.boundaries import (
    barrier,
    fence,
    railing,
    scaffolding,
    site_fence,
    wall,
)
from quantv2x_ros.data.simulator.primitives import concatenate
from quantv2x_ros.data.simulator.street_furniture import FURNITURE, furniture
from test.data.simulator.clouds import seen_from

HIGHEST = {
    "lamp": 9.3,
    "signal": 4.8,
    "sign": 3.4,
    "advertisement": 3.6,
    "shelter": 2.9,
    "cafe": 3.0,
}


@pytest.mark.parametrize("kind", FURNITURE)
def test_a_piece_stands_on_the_ground_and_has_its_size(kind: str) -> None:
    for seed in range(8):
        corners = furniture(np.random.default_rng(seed), kind).corners
        assert corners[..., 2].min() <= 0.1
        assert 0.3 < corners[..., 2].max() <= HIGHEST.get(kind, 2.6)
        assert np.abs(corners[..., :2]).max() < 10.0


@pytest.mark.parametrize("kind", FURNITURE)
def test_a_piece_returns_points(kind: str) -> None:
    rng = np.random.default_rng(1)
    points, _ = seen_from(concatenate([furniture(rng, kind) for _ in range(3)]), 0.5, -4.0)
    assert len(points) > 20


def test_cycles_are_of_the_size_of_cycles_and_stand_without_riders() -> None:
    stand = furniture(np.random.default_rng(4), "cycles")
    assert 1.3 < np.ptp(stand.corners[..., 1]) < 2.8
    assert 0.9 < stand.corners[..., 2].max() < 1.4


def test_most_rays_pass_a_site_fence_but_not_its_feet() -> None:
    shares = []
    for seed in range(6):
        run = site_fence(np.random.default_rng(seed), 12.0)
        panels = run.select((run.porosity > 0.5) & (run.corners[..., 2].max(axis=1) < 2.3))
        if not len(panels):
            continue  # covered with tarpaulins
        solid = concatenate([panels])
        object.__setattr__(solid, "porosity", np.zeros(len(solid)))
        shares.append(len(seen_from(panels, 0, -5)[0]) / len(seen_from(solid, 0, -5)[0]))
        feet = run.select((run.porosity == 0) & (run.corners[..., 2].max(axis=1) < 0.2))
        assert len(feet) >= 3
        assert len(seen_from(feet, 0, -5)[0]) > 10
    assert len(shares) >= 3
    assert 0.05 < np.mean(shares) < 0.35


def test_a_scaffold_has_tubes_planks_and_a_hollow_behind() -> None:
    frame = scaffolding(np.random.default_rng(0), 10.0)
    middle = np.array([[x, 0.45, 1.0] for x in np.linspace(-4.9, 4.9, 99)])
    assert not frame.contains(middle).any()
    assert frame.contains(middle + np.array([0, 0, 1.0])).mean() > 0.9, "a plank at two metres"
    tubes = frame.select(np.ptp(frame.corners[..., 2], axis=1) > 3.0)
    assert len(tubes) >= 8


@pytest.mark.parametrize("make", [fence, wall])
def test_runs_have_their_length_and_reach_into_the_ground(make: object) -> None:
    for seed in range(10):
        corners = make(np.random.default_rng(seed), 9.0).corners  # type: ignore[operator]
        assert np.ptp(corners[..., 0]) == pytest.approx(9.0, abs=0.7)
        assert corners[..., 2].min() < 0
        assert 0.5 < corners[..., 2].max() < 3.7


@pytest.mark.parametrize("draw", [barrier, railing])
def test_stretches_of_one_barrier_are_alike(draw: object) -> None:
    build = draw(np.random.default_rng(2))  # type: ignore[operator]
    assert np.array_equal(build(8.0).rows, build(8.0).rows)
    assert np.ptp(build(8.0).corners[..., 0]) == pytest.approx(8.0, abs=0.1)
