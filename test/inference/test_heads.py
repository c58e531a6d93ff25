# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One fuse engine for a GPU gives what Numba and the head engine give on a CPU."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.heads import DeviceHeads, HostHeads, create_heads
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import StageTimer
from quantv2x_ros.inference.shapes import fuse_shapes
from quantv2x_ros.inference.window import HeadWindow


@pytest.mark.parametrize("agents", [1, 3])
def test_both_ways_to_fuse_agree(int8_bundle: ModelBundle, agents: int) -> None:
    window = HeadWindow.of(int8_bundle.grid, int8_bundle.detection, int8_bundle.manifest.head_reach)
    detector = CooperativeDetector(int8_bundle, "openvino", 1)
    generator = np.random.default_rng(3)
    shape = (3, *int8_bundle.grid.shape)
    maps = generator.integers(0, 128, (agents, *shape)).astype(np.uint8)
    pyramids = [detector.pyramid(indices) for indices in maps]
    poses = np.tile(np.eye(4), (agents, 1, 1))
    for number, pose in enumerate(poses[1:], 1):
        pose[:2, :2] = [[np.cos(number), -np.sin(number)], [np.sin(number), np.cos(number)]]
        pose[:2, 3] = 4.1 * number, -2.3
    thetas = np.stack([warp_theta(pose, int8_bundle.grid) for pose in poses])
    host = create_heads(int8_bundle, window, "openvino", 1, (64, 128, 256))
    assert isinstance(host, HostHeads)
    shapes = {
        name: tuple(agents if size == -1 else size for size in sizes)
        for name, sizes in fuse_shapes(int8_bundle).items()
    }
    engine = create_engine(int8_bundle.engine_path("fuse"), shapes, "openvino", 1)
    device = DeviceHeads(int8_bundle, window, engine)
    timer = StageTimer()
    expected, found = host(pyramids, thetas, timer), device(pyramids, thetas, timer)
    assert {"warp", "head", "gather", "fuse"} <= set(timer.stages)
    for name in ("cls", "reg", "dir"):
        one, other = getattr(expected, name), getattr(found, name)
        assert one.shape == other.shape
        spread = float(one.std())
        assert spread > 0
        # a sampling position in float32 rounds some cells to the neighbouring step
        assert np.abs(one - other).mean() < 0.05 * spread
