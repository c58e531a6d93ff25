# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The torch reference of the benchmark is correct, and so are the counts of its work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from quantv2x_ros.benchmark.scaling import crowd
from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig, detect, nms
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.model.bundle import ModelBundle

pytest.importorskip("shapely", reason="the reference's polygons need it")

from quantv2x_ros.benchmark.torch_reference.plain import PlainPipeline
from quantv2x_ros.benchmark.torch_reference.polygons import plain_detect, polygon_nms


@pytest.mark.parametrize("count", [1, 20, 150])
@pytest.mark.parametrize("aware", [True, False])
def test_polygons_keep_the_boxes_that_this_package_keeps(count: int, aware: bool) -> None:
    boxes, scores, labels = crowd(count, seed=count)
    own = labels if aware else None
    expected = nms(boxes, scores, 0.15, own)
    np.testing.assert_array_equal(polygon_nms(boxes, scores, 0.15, own), expected)


def test_boxes_without_area_suppress_nothing() -> None:
    boxes = np.array([[0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 4, 2, 1, 0]], np.float32)
    kept = polygon_nms(boxes, np.array([0.9, 0.8], np.float32), 0.15)
    assert list(kept) == [0, 1]


@pytest.mark.parametrize("config", [DetectionConfig(class_aware=True), DetectionConfig.published()])
def test_the_usual_post_processing_finds_the_same_boxes(config: DetectionConfig) -> None:
    generator = torch.Generator().manual_seed(4)
    grid = BevGrid((-25.6, -25.6, -5.0, 25.6, 25.6, 1.0), (0.4, 0.4, 6.0))
    height, width = grid.shape
    cls = torch.randn(1, 18, height, width, generator=generator) - 4.5
    reg = torch.randn(1, 42, height, width, generator=generator) * 0.2
    direction = torch.randn(1, 12, height, width, generator=generator)
    anchors = AnchorSet.v2x_real().grid_anchors(grid).astype(np.float32)
    found = plain_detect(cls, reg, direction, torch.from_numpy(anchors), config)
    maps = [np.ascontiguousarray(x[0].permute(1, 2, 0).numpy()) for x in (cls, reg, direction)]
    expected = detect(maps[0], maps[1], maps[2], anchors, config)
    assert len(expected) > 30
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    turn = found.boxes[:, 6] - expected.boxes[:, 6]
    np.testing.assert_allclose(np.sin(turn), 0, atol=1e-4)
    np.testing.assert_allclose(np.cos(turn), 1, atol=1e-4)
    np.testing.assert_allclose(found.boxes[:, :6], expected.boxes[:, :6], atol=1e-4)


def test_the_codes_are_those_of_the_network(bundle_folder: Path) -> None:
    pipeline = PlainPipeline(ModelBundle.load(bundle_folder), threads=1)
    features = torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = pipeline._codebook(features).indices
        codes = pipeline._codes(features)
    np.testing.assert_array_equal(codes[:, :, 0].T.reshape(1, -1, 16, 16), expected)
