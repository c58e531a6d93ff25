# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points to pillar features: against the golden pillars, and against the definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars.pillar_net import PillarNet, PillarWeights
from quantv2x_ros.core.pillars.pillars import PillarGrouper

Golden = Mapping[str, npt.NDArray[Any]]
PUBLISHED = "encoder_m1.pillar_vfe.pfn_layers.0."
GRID = BevGrid((-6.4, -3.2, -3.0, 12.8, 9.6, 1.0), (0.4, 0.8, 4.0))  # 16 rows, 48 columns


@pytest.fixture(scope="module")
def layers() -> dict[str, npt.NDArray[np.float64]]:
    """A random pillar network of 8 channels."""
    generator = np.random.default_rng(4)
    return {
        "linear.weight": generator.normal(0, 0.3, (8, 10)),
        "norm.weight": generator.uniform(0.5, 1.5, 8),
        "norm.bias": generator.normal(0, 0.3, 8),
        "norm.running_mean": generator.normal(0, 0.3, 8),
        "norm.running_var": generator.uniform(0.5, 1.5, 8),
    }


def pillars_by_definition(
    points: npt.NDArray[np.float32], grid: BevGrid, layers: Mapping[str, npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """The feature map (rows, columns, C), pillar by pillar with all 32 slots."""
    low, high = np.float32(grid.lidar_range[:3]), np.float32(grid.lidar_range[3:])
    voxel = np.float32(grid.voxel_size)
    held: dict[tuple[int, int], list[npt.NDArray[np.float64]]] = {}
    for point in points:
        if not ((point[:3] >= low) & (point[:3] < high)).all():
            continue
        column, row, _ = np.floor((point[:3] - low) / voxel).astype(int)
        kept = held.setdefault((row, column), [])
        if len(kept) < 32:
            kept.append(point.astype(np.float64))
    result = np.zeros((*grid.pillar_shape, len(layers["linear.weight"])))
    for (row, column), kept in held.items():
        slots = np.zeros((32, 10))
        cloud = np.stack(kept)
        centre = np.array([column, row, 0]) * voxel + voxel / 2 + low
        slots[: len(cloud), :4] = cloud
        slots[: len(cloud), 4:7] = cloud[:, :3] - cloud[:, :3].mean(axis=0)
        slots[: len(cloud), 7:] = cloud[:, :3] - centre
        values = slots @ layers["linear.weight"].T
        scale = layers["norm.weight"] / np.sqrt(layers["norm.running_var"] + 1e-3)
        values = (values - layers["norm.running_mean"]) * scale + layers["norm.bias"]
        result[row, column] = np.maximum(values, 0).max(axis=0)
    return result


def _cloud(points: int, seed: int) -> npt.NDArray[np.float32]:
    """Points over GRID and a little around, dense in a few pillars."""
    generator = np.random.default_rng(seed)
    spread = generator.uniform((-8, -4, -4, 0), (14, 8, 2, 1), (points, 4))
    dense = generator.uniform((0, 0, -2, 0), (0.8, 0.8, 0, 1), (points // 4, 4))
    return generator.permutation(np.concatenate([spread, dense])).astype(np.float32)


@pytest.mark.parametrize("points", [0, 1, 40, 3000])
def test_features_are_those_of_the_definition(
    points: int, layers: dict[str, npt.NDArray[np.float64]]
) -> None:
    cloud = _cloud(points, points)
    net = PillarNet(PillarWeights.from_layers(layers, ""), GRID)
    result = net(cloud)
    expected = pillars_by_definition(cloud, GRID, layers)
    np.testing.assert_allclose(result.features, expected, atol=2e-5)


def test_pillars_agree_with_the_published_ones(
    golden: Golden, golden_inputs: Golden, golden_state: Golden, golden_grid: BevGrid
) -> None:
    net = PillarNet(PillarWeights.from_layers(golden_state, PUBLISHED), golden_grid)
    where = golden["voxel_coords_bzyx"]
    scattered = []
    for agent in range(3):
        cloud = golden_inputs[f"points_{agent}"]
        pillars = net.grouper(cloud)
        mine = where[:, 0] == agent
        rows, columns = np.divmod(pillars.cells, golden_grid.pillar_shape[1])
        np.testing.assert_array_equal(rows, where[mine, 2])
        np.testing.assert_array_equal(columns, where[mine, 3])
        np.testing.assert_array_equal(pillars.counts, golden["voxel_num_points"][mine])
        expected = golden["pillar_features"][mine]
        features = net.pillar_features(cloud, pillars)
        assert np.abs(features - expected).max() < 1e-4 * np.abs(expected).max()
        scattered.append(net(cloud).features.transpose(2, 0, 1).copy())
    values = np.stack(scattered).astype(np.float64)
    order = (values.ravel() * (np.arange(values.size) % 97)).sum()
    measured = (values.mean(), values.std(), np.abs(values).sum(), order)
    np.testing.assert_allclose(measured, golden["scatter_stats"], rtol=1e-4)


def test_uint8_is_the_rounded_float_map(layers: dict[str, npt.NDArray[np.float64]]) -> None:
    weights = PillarWeights.from_layers(layers, "")
    cloud = _cloud(2000, 1)
    exact = PillarNet(weights, GRID)(cloud).features
    scale = float(exact.max()) / 200
    rounded = PillarNet(weights, GRID, scale)(cloud).features
    assert rounded.dtype == np.uint8
    assert np.abs(rounded * scale - exact).max() <= 0.5001 * scale
    saturated = PillarNet(weights, GRID, scale / 10)(cloud).features
    assert saturated.max() == 255


def test_a_sweep_leaves_nothing_in_the_next(layers: dict[str, npt.NDArray[np.float64]]) -> None:
    weights = PillarWeights.from_layers(layers, "")
    used = PillarNet(weights, GRID)
    used(_cloud(3000, 1))
    second = _cloud(100, 2)
    np.testing.assert_array_equal(used(second).features, PillarNet(weights, GRID)(second).features)
    assert (used(second[:0]).features == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_points_out_of_range_or_not_finite_are_dropped(
    layers: dict[str, npt.NDArray[np.float64]], value: float
) -> None:
    net = PillarNet(PillarWeights.from_layers(layers, ""), GRID)
    cloud = _cloud(200, 3)
    expected = net(cloud)
    features, pillars = expected.features.copy(), expected.pillars
    strays = np.zeros((3, 4), np.float32)
    strays[[0, 1, 2], [0, 1, 2]] = value
    result = net(np.concatenate([strays, cloud]))
    np.testing.assert_array_equal(result.features, features)
    assert result.pillars == pillars


def test_a_pillar_keeps_its_first_32_points() -> None:
    cloud = np.zeros((50, 4), np.float32)
    cloud[:, 0] = np.linspace(0.01, 0.39, 50)
    pillars = PillarGrouper(GRID)(cloud)
    assert pillars.counts.tolist() == [32]
    assert pillars.point_index.tolist() == list(range(32))
    assert pillars.means[0, 0] == pytest.approx(cloud[:32, 0].mean())


def test_the_70000_pillars_that_open_first_stay_and_keep_filling() -> None:
    grid = BevGrid()
    generator = np.random.default_rng(0)
    low, high = np.array(grid.lidar_range[:3]), np.array(grid.lidar_range[3:])
    cloud = np.zeros((200_000, 4), np.float32)
    cloud[:, :3] = generator.uniform(low, high, (len(cloud), 3))
    pillars = PillarGrouper(grid)(cloud)
    cells = np.floor((cloud[:, :2] - np.float32(low[:2])) / np.float32(0.4)).astype(int)
    cells = cells[:, 1] * 704 + cells[:, 0]
    opened, first = np.unique(cells, return_index=True)
    assert len(opened) > 70_000
    kept = opened[np.argsort(first)][:70_000]
    np.testing.assert_array_equal(pillars.cells, kept)
    np.testing.assert_array_equal(pillars.point_index, np.flatnonzero(np.isin(cells, kept)))
    assert pillars.point_index[-1] > first.max()


def test_clouds_of_another_shape_are_refused(
    layers: dict[str, npt.NDArray[np.float64]],
) -> None:
    net = PillarNet(PillarWeights.from_layers(layers, ""), GRID)
    with pytest.raises(ValueError, match=r"expected \(P, 4\)"):
        net(np.zeros((10, 3), np.float32))
    with pytest.raises(ValueError, match="scale"):
        PillarNet(net.weights, GRID, 0.0)


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(C, 10\)"):
        PillarWeights(np.zeros((8, 9), np.float32), np.zeros(8, np.float32))
    with pytest.raises(ValueError, match="pillar bias"):
        PillarWeights(np.zeros((8, 10), np.float32), np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="not all values are finite"):
        PillarWeights(np.full((8, 10), np.nan, np.float32), np.zeros(8, np.float32))
