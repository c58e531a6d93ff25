# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The torch network gives the published model's results from a published checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.training.network import QuantV2XNetwork, load_published
from quantv2x_ros.training.points import pillar_input
from quantv2x_ros.training.published import CheckpointError, to_published


@pytest.fixture(scope="module")
def network(golden: Any) -> QuantV2XNetwork:
    inputs = golden.inputs
    return load_published(
        golden.state, lidar_range=inputs["range_small"], voxel_size=inputs["voxel_size"]
    )


def relative_error(value: torch.Tensor, expected: npt.NDArray[np.floating[Any]]) -> float:
    """Largest deviation relative to the largest magnitude."""
    return float(np.abs(value.numpy() - expected).max() / np.abs(expected).max())


def test_features_and_codes_are_the_published_ones(golden: Any, network: QuantV2XNetwork) -> None:
    with torch.no_grad():
        features = network.encode(pillar_input(golden.clouds, [golden.grid] * 3))
    assert relative_error(features, golden.small["bev"]) < 1e-4
    codes = network.forward_points(golden.clouds, golden.ego_to_agent)["indices"].numpy()
    decided = golden.decided()
    assert decided.mean() > 0.999
    np.testing.assert_array_equal(codes[decided], golden.codes[decided])


@torch.no_grad()
def test_heads_from_golden_codes_are_the_published_ones(
    golden: Any, network: QuantV2XNetwork
) -> None:
    assert network.codebook is not None
    rows = torch.from_numpy(golden.codes).long().permute(0, 2, 3, 1).reshape(-1, 3, 1)
    decoded = network.codebook.decode(rows).view(3, 64, 64, -1).permute(0, 3, 1, 2)
    assert relative_error(decoded, golden.small["deq"]) < 1e-4
    thetas = np.stack([warp_theta(m, golden.grid) for m in golden.ego_to_agent])
    outputs, occupancy = network.detect(decoded, torch.from_numpy(thetas), [3])
    for level in range(3):
        assert relative_error(occupancy[level], golden.small[f"L{level}_occ"]) < 1e-4
    for name in ("cls", "reg", "dir"):
        assert relative_error(getattr(outputs, name), golden.small[name]) < 1e-4


def test_inference_changes_nothing_and_repeats(golden: Any, network: QuantV2XNetwork) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = network.forward_points(golden.clouds[:2], golden.ego_to_agent[:2])
    second = network.forward_points(golden.clouds[:2], golden.ego_to_agent[:2])
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_export_to_the_published_naming_inverts_the_import(
    golden: Any, network: QuantV2XNetwork
) -> None:
    for name, value in to_published(network.state_dict()).items():
        np.testing.assert_array_equal(value, golden.state[name])


def test_a_checkpoint_that_does_not_fit_is_named(golden: Any) -> None:
    state = dict(golden.state)
    del state["cls_head.bias"]
    with pytest.raises(CheckpointError, match=r"cls_head\.bias.*missing"):
        load_published(state)
    with pytest.raises(CheckpointError, match=r"cls_head\.bias.*shape"):
        load_published({**golden.state, "cls_head.bias": np.zeros(5, np.float32)})
    with pytest.raises(CheckpointError, match=r"second\.conv"):
        load_published({**golden.state, "second.conv.weight": np.zeros(5, np.float32)})
