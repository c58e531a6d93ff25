# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fronts are hollow where real ones are."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.data.simulator.fronts import FRONTS, building
from test.data.simulator.clouds import seen_from

LENGTH, DEPTH = 20.0, 10.0


def behind(kind: str, seed: int) -> float:
    """Return the share of the returns below 2.2 m that lie more than half a metre inside."""
    house = building(np.random.default_rng(seed), LENGTH, DEPTH, kind)
    points, _ = seen_from(house, 0.0, -7.0)
    low = points[(points[:, 2] < 2.2) & (np.abs(points[:, 0]) < LENGTH / 2 - 0.5)]
    assert len(low) > 500
    return float((low[:, 1] > 0.5).mean())


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("plain", 0.0, 0.0), ("shops", 0.25, 0.95), ("dwelling", 0.03, 0.6), ("arcade", 0.4, 1.0)],
)
def test_a_share_of_the_returns_comes_from_inside(kind: str, least: float, most: float) -> None:
    shares = [behind(kind, seed) for seed in range(8)]
    assert least <= np.mean(shares) <= most, shares


def test_garages_are_open_or_their_doors_lie_back() -> None:
    shares = [behind("garages", seed) for seed in range(16)]
    assert max(shares) > 0.3
    assert min(shares) < 0.2


def test_an_arcade_has_piers_every_three_to_six_metres() -> None:
    for seed in range(6):
        house = building(np.random.default_rng(seed), LENGTH, DEPTH, "arcade")
        at = np.linspace(-LENGTH / 2 + 1, LENGTH / 2 - 1, 721)
        line = np.stack([at, np.full_like(at, 0.15), np.full_like(at, 1.0)], 1)
        solid = house.contains(line)
        starts = at[1:][np.diff(solid.astype(int)) == 1]
        assert len(starts) >= 2
        assert 2.5 <= np.diff(starts).min() <= np.diff(starts).max() <= 7.0
        deep = line + np.array([0.0, 1.2, 0.0])  # the passage behind them
        assert house.contains(deep).mean() < 0.2


@pytest.mark.parametrize("kind", FRONTS)
def test_a_house_keeps_to_its_plot(kind: str) -> None:
    for seed in range(10):
        corners = building(np.random.default_rng(seed), LENGTH, DEPTH, kind).corners
        assert np.abs(corners[..., 0]).max() <= LENGTH / 2 + 0.6
        assert corners[..., 1].min() >= -3.2
        assert corners[..., 1].max() <= DEPTH + 0.01
        assert corners[..., 2].min() < 0.0, "reaches into the ground"


def test_the_same_seed_gives_the_same_house() -> None:
    one, other = (building(np.random.default_rng(5), LENGTH, DEPTH) for _ in range(2))
    assert np.array_equal(one.rows, other.rows)
