# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy, Numba and FP32 engines together give the published model's results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.boxes import corners
from quantv2x_ros.core.geometry.grid import V2X_REAL_RANGE, V2X_REAL_VOXEL
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.network import QuantV2XNetwork, load_published

PARITY = BundleSettings(detection=DetectionConfig.published(), reproduces_published=True)


def export(network: QuantV2XNetwork, folder: Path) -> ModelBundle:
    return export_bundle(network, folder, name="golden", precision="fp32", settings=PARITY)


def relative_error(value: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Largest deviation relative to the largest magnitude."""
    return float(np.abs(value - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module")
def bundle(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    network = load_published(
        golden.state,
        lidar_range=golden.inputs["range_small"],
        voxel_size=golden.inputs["voxel_size"],
    )
    return export(network, tmp_path_factory.mktemp("golden") / "bundle")


@pytest.fixture(scope="module")
def detector(bundle: ModelBundle) -> CooperativeDetector:
    return CooperativeDetector(bundle, threads=2)


def test_indices_are_the_published_codes(golden: Any, bundle: ModelBundle) -> None:
    encoder = AgentEncoder(bundle, threads=2)
    decided = golden.decided()
    for agent, cloud in enumerate(golden.clouds):
        indices = encoder.encode(cloud).indices
        np.testing.assert_array_equal(indices[decided[agent]], golden.codes[agent][decided[agent]])


def test_pyramid_of_golden_codes_is_the_published_one(
    golden: Any, detector: CooperativeDetector
) -> None:
    for agent in range(3):
        pyramid = detector.pyramid(golden.codes[agent])
        for level, (step, name) in enumerate(((2, "c2"), (1, "c1"), (1, "c1"))):
            features = pyramid.features[level].transpose(2, 0, 1)[::step]
            expected = golden.small[f"L{level}_feat_{name}"][agent]
            assert relative_error(features, expected) < 1e-4
            logit = golden.small[f"L{level}_occ"][agent, 0].astype(np.float64)
            score = 1.0 / (1.0 + np.exp(-logit)) + 1e-4
            assert relative_error(pyramid.scores[level], score) < 1e-4


def test_boxes_of_golden_codes_are_the_published_ones(
    golden: Any, detector: CooperativeDetector
) -> None:
    pyramids = [detector.pyramid(codes) for codes in golden.codes]
    maps = detector.head_maps(pyramids, golden.ego_to_agent)
    for name in ("cls", "reg", "dir"):
        expected = golden.small[name][0].transpose(1, 2, 0)
        assert relative_error(getattr(maps, name), expected) < 1e-4
    found = detector.fuse(pyramids, golden.ego_to_agent).detections
    expected_scores = golden.small["final_score_label"]
    assert len(found) == len(expected_scores)
    np.testing.assert_array_equal(found.labels, expected_scores[:, 1].astype(int))
    np.testing.assert_allclose(found.scores, expected_scores[:, 0], atol=1e-4)
    np.testing.assert_allclose(corners(found.boxes), golden.small["final_corners"], atol=1e-3)


def test_the_full_grid_agrees_with_torch(golden: Any, tmp_path: Path) -> None:
    network = load_published(golden.state, lidar_range=V2X_REAL_RANGE, voxel_size=V2X_REAL_VOXEL)
    clouds, transforms = golden.clouds[:2], golden.ego_to_agent[:2]
    expected = network.forward_points(clouds, transforms)
    detector = CooperativeDetector(export(network, tmp_path / "bundle"), threads=2)
    encoder = AgentEncoder(detector.bundle, threads=2)
    codes = expected["indices"].numpy()
    indices = np.stack([encoder.encode(cloud).indices for cloud in clouds])
    # float32 summation order decides near ties
    assert (indices == codes).mean() > 0.9995
    pyramids = [detector.pyramid(code) for code in codes]
    maps = detector.head_maps(pyramids, transforms)
    for name in ("cls", "reg", "dir"):
        assert relative_error(getattr(maps, name), as_map(expected[name])) < 1e-4


def as_map(value: torch.Tensor) -> npt.NDArray[np.float32]:
    """(1, C, H, W) to (H, W, C)."""
    array: npt.NDArray[np.float32] = value[0].permute(1, 2, 0).numpy()
    return array
