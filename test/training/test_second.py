# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The optional SECOND encoder, on spconv's CPU path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.network import NetworkConfig
from quantv2x_ros.training.second import (
    LAYERS,
    VOXELS_A_CELL,
    SecondEncoder,
    SecondError,
    SecondNetwork,
    voxelize,
)

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), (0.4, 0.4, 6.0))


def cloud(seed: int, points: int = 500) -> np.ndarray:
    generator = np.random.default_rng(seed)
    made = generator.uniform(-12, 12, (points, 4)).astype(np.float32)
    made[:, 2] = generator.uniform(-4.9, 0.9, points)
    made[:, 3] = 0
    return made


def test_a_voxel_holds_the_mean_of_its_points() -> None:
    points = np.array(
        [[0.05, 0.05, -1.05, 0.2], [0.15, 0.1, -1.1, 0.4], [3, 3, 0, 0], [99, 0, 0, 0]], np.float32
    )
    features, places, shape = voxelize([points[:0], points], GRID)
    assert shape == (LAYERS, VOXELS_A_CELL * GRID.shape[0], VOXELS_A_CELL * GRID.shape[1])
    assert places[:, 0].tolist() == [1, 1]
    row = places[:, 2] == shape[1] // 2
    torch.testing.assert_close(features[row][0], torch.tensor([0.1, 0.075, -1.075, 0.3]))
    assert places[row][0].tolist() == [1, 15, shape[1] // 2, shape[2] // 2]


def test_without_spconv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spconv.pytorch", None)
    with pytest.raises(SecondError, match="install spconv-cu120"):
        SecondEncoder(GRID)


class TestWithSpconv:
    @pytest.fixture(autouse=True)
    def spconv(self) -> None:
        pytest.importorskip("spconv", reason="spconv is not installed")

    def test_features_have_the_shape_that_pillars_give(self) -> None:
        torch.manual_seed(0)
        encoder = SecondEncoder(GRID).eval()
        with torch.no_grad():
            features = encoder([cloud(1), cloud(2)])
        assert features.shape == (2, 64, *GRID.shape)
        assert torch.isfinite(features).all()
        assert features.std() > 0

    def test_an_agent_is_encoded_the_same_alone_and_beside_others(self) -> None:
        torch.manual_seed(0)
        encoder = SecondEncoder(GRID).eval()
        with torch.no_grad():
            together = encoder([cloud(1), cloud(2)])
            alone = encoder([cloud(2)])
        torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-5)

    def test_a_cloud_without_a_point_in_range_is_encoded(self) -> None:
        encoder = SecondEncoder(GRID).eval()
        far = np.full((3, 4), 500, np.float32)
        with torch.no_grad():
            assert encoder([far]).shape == (1, 64, *GRID.shape)
            assert encoder([far, cloud(3)]).shape == (2, 64, *GRID.shape)

    def test_points_change_the_feature_where_they_are(self) -> None:
        torch.manual_seed(0)
        encoder = SecondEncoder(GRID).eval()
        spot = np.zeros((40, 4), np.float32)
        spot[:, :3] = np.random.default_rng(0).normal([6.0, -4.0, -1.0], 0.2, (40, 3))
        with torch.no_grad():
            change = (encoder([spot]) - encoder([spot[:0]])).abs().sum(1)[0]
        row, column = np.unravel_index(int(change.argmax()), GRID.shape)
        assert abs(GRID.lidar_range[0] + (column + 0.5) * GRID.cell_size[1] - 6.0) < 1.7
        assert abs(GRID.lidar_range[1] + (row + 0.5) * GRID.cell_size[0] + 4.0) < 1.7
        assert (change == 0).float().mean() > 0.8

    def test_the_network_runs_with_it(self) -> None:
        torch.manual_seed(0)
        network = SecondNetwork(NetworkConfig(grid=GRID)).eval()
        out = network.forward_points([cloud(1), cloud(2)], np.tile(np.eye(4), (2, 1, 1)))
        assert out["codes"].shape == (2, 3, *GRID.shape)
        assert out["cls"].shape == (1, 18, *GRID.shape)
        assert not hasattr(network, "pillar_encoder")
