# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle from random weights, for tests and timing: real engines, boxes without meaning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.quantization.simulation import CalibrationFrame

#: 64 x 64 cells, quick on any machine.
SMALL_RANGE = (-25.6, -25.6, -5.0, 25.6, 25.6, 1.0)
#: The default bundle's grid: 100 x 352 cells.
FULL_RANGE = (-140.8, -40.0, -5.0, 140.8, 40.0, 1.0)
VOXEL = (0.4, 0.4, 6.0)
#: Candidates of a random bundle, ten times fewer than of a trained one: nearly all of them become
#: boxes, which stand for nothing, and a street has no more.
CANDIDATES = 100


def random_network(
    seed: int,
    grid: BevGrid,
    score_gain: float = 6.0,
    coded_ego: bool = True,
    architecture: str = "published",
    block: str = NetworkConfig.block,
) -> QuantV2XNetwork:
    """A network whose activations stay near 1 and whose heads find some boxes."""
    torch.manual_seed(seed)
    config = NetworkConfig(
        grid=grid,
        score_gain=score_gain,
        coded_ego=coded_ego,
        architecture=architecture,
        block=block,
    )
    network = QuantV2XNetwork(config).eval()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.7, 1.2)
            nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            fan_in = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan_in = module.weight.shape[0]
            nn.init.normal_(module.weight, std=(2.0 / fan_in) ** 0.5)
    heads, gain = (network.head, 20.0) if architecture == "light" else (network, 1.0)
    nn.init.normal_(heads.cls_head.weight, std=0.05 * gain)
    nn.init.normal_(heads.reg_head.weight, std=0.01)
    nn.init.constant_(heads.cls_head.bias, -2.0)  # type: ignore[arg-type]
    return network


def random_cloud(seed: int, grid: BevGrid, points: int = 20_000) -> npt.NDArray[np.float32]:
    """A (P, 4) float32 cloud: ground rings and upright boxes, intensity 0."""
    generator = np.random.default_rng(seed)
    low = np.array(grid.lidar_range[:3])
    high = np.array(grid.lidar_range[3:])
    ground = points // 2
    angle = generator.uniform(0, 2 * np.pi, ground)
    radius = np.minimum(high[0], high[1]) * generator.random(ground) ** 0.7 * 1.3
    cloud = np.zeros((points, 4), np.float32)
    cloud[:ground, 0] = radius * np.cos(angle)
    cloud[:ground, 1] = radius * np.sin(angle)
    cloud[:ground, 2] = -1.8 + generator.normal(0, 0.03, ground)
    boxes = generator.uniform(low[:2] * 0.9, high[:2] * 0.9, (40, 2))
    chosen = generator.integers(0, len(boxes), points - ground)
    cloud[ground:, :2] = boxes[chosen] + generator.uniform(-2, 2, (points - ground, 2))
    cloud[ground:, 2] = generator.uniform(-1.7, 0.0, points - ground)
    return cloud


def random_frames(seed: int, grid: BevGrid, counts: tuple[int, ...]) -> list[CalibrationFrame]:
    """Frames with the given numbers of agents, apart by some metres and turned."""
    generator = np.random.default_rng(seed)
    frames = []
    for agents in counts:
        transforms = np.tile(np.eye(4), (agents, 1, 1))
        for transform in transforms[1:]:
            yaw = generator.uniform(-np.pi, np.pi)
            transform[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
            transform[:2, 3] = generator.uniform(-0.3, 0.3, 2) * grid.extent[0]
        clouds = [random_cloud(int(generator.integers(1 << 30)), grid) for _ in range(agents)]
        frames.append(CalibrationFrame(clouds, transforms))
    return frames


def build_random_bundle(
    folder: str | Path,
    seed: int = 0,
    lidar_range: tuple[float, float, float, float, float, float] = SMALL_RANGE,
    precision: str = "int8",
    voxel_size: tuple[float, float, float] = VOXEL,
    coded_ego: bool = True,
    architecture: str = "published",
    block: str = NetworkConfig.block,
) -> ModelBundle:
    """Write a complete bundle from random weights, calibrated on random clouds.

    Args:
        folder: where to.
        seed: seed of weights and clouds.
        lidar_range: SMALL_RANGE (64 x 64 cells) or FULL_RANGE.
        precision: int8 or fp32.
        voxel_size: metres.
        coded_ego: see NetworkConfig.
        architecture: see NetworkConfig.
        block: see NetworkConfig.
    """
    grid = BevGrid(lidar_range, voxel_size)
    network = random_network(
        seed, grid, coded_ego=coded_ego, architecture=architecture, block=block
    )
    frames = random_frames(seed, grid, (1, 2, 3) if grid.shape[1] <= 64 else (2,))
    return export_bundle(
        network,
        folder,
        name=f"random-{seed}",
        calibration_frames=frames if precision == "int8" else (),
        precision=precision,
        settings=BundleSettings(
            training={"data": "none: random weights, for tests only"},
            detection=replace(DetectionConfig.recommended(), max_candidates=CANDIDATES),
        ),
    )
