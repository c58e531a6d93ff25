# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads' window leaves out columns, never boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.core.detection import DetectionConfig
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.inference.pipeline import AgentEncoder, CooperativeDetector
from quantv2x_ros.inference.window import HeadWindow
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.export.random_bundle import random_frames, random_network

FULL = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))


def test_the_full_grids_window_is_three_quarters() -> None:
    window = HeadWindow.of(FULL, DetectionConfig())
    assert window.computed == slice(44, 308)
    assert window.kept == slice(46, 306)
    assert [window.at_level(level) for level in range(3)] == [
        slice(44, 308),
        slice(22, 154),
        slice(11, 77),
    ]


@pytest.mark.parametrize("reach", [float("inf"), 200.0])
def test_a_range_beyond_the_grid_computes_all_of_it(reach: float) -> None:
    window = HeadWindow.of(FULL, DetectionConfig(range_x=reach))
    assert window.computed == window.kept == slice(0, 352)


def test_parity_computes_all_of_it() -> None:
    assert HeadWindow.of(FULL, DetectionConfig(), exact=True).kept == slice(0, 352)


def test_a_grid_that_starts_ahead_of_the_sensor_keeps_its_own_columns() -> None:
    grid = BevGrid((80.0, -25.6, -5.0, 156.8, 25.6, 1.0), (0.4, 0.4, 6.0))
    window = HeadWindow.of(grid, DetectionConfig())
    assert window.kept == slice(0, 30)
    assert window.computed == slice(0, 32)


def test_the_window_gives_the_same_outputs_as_the_whole_map(tmp_path: Path) -> None:
    grid = BevGrid((-51.2, -12.8, -5.0, 51.2, 12.8, 1.0), (0.4, 0.4, 6.0))
    network = random_network(4, grid)
    frame = random_frames(4, grid, (2,))[0]
    maps = {}
    for name, reach in (("whole", 100.0), ("cut", 20.0)):
        settings = BundleSettings(detection=DetectionConfig(range_x=reach))
        bundle = export_bundle(
            network, tmp_path / name, name=name, precision="fp32", settings=settings
        )
        detector = CooperativeDetector(bundle, threads=2)
        encoder = AgentEncoder(bundle, threads=2)
        pyramids = [detector.pyramid(encoder.encode(cloud).indices) for cloud in frame.clouds]
        maps[name] = detector.head_maps(pyramids, frame.ego_to_agent)
    kept = HeadWindow.of(grid, DetectionConfig(range_x=20.0)).kept
    assert maps["cut"].cls.shape[1] == kept.stop - kept.start < 128
    np.testing.assert_allclose(maps["cut"].cls, maps["whole"].cls[:, kept], rtol=1e-4, atol=1e-4)
