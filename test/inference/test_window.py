# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads' window leaves out columns, never boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.window import ALIGNMENT, HeadWindow
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.export.random_bundle import random_frames, random_network

FULL = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))


def test_the_full_grids_window_is_three_quarters() -> None:
    window = HeadWindow.of(FULL, DetectionConfig(), 2)
    assert window.computed == slice(44, 308)
    assert window.kept == slice(46, 306)
    assert [window.at_scale(level) for level in range(3)] == [
        slice(44, 308),
        slice(22, 154),
        slice(11, 77),
    ]


@pytest.mark.parametrize("reach", [float("inf"), 200.0])
def test_a_range_beyond_the_grid_computes_all_of_it(reach: float) -> None:
    window = HeadWindow.of(FULL, DetectionConfig(range_x=reach), 2)
    assert window.computed == window.kept == slice(0, 352)


def test_parity_computes_all_of_it() -> None:
    assert HeadWindow.of(FULL, DetectionConfig(), 2, exact=True).kept == slice(0, 352)


def test_a_grid_that_starts_ahead_of_the_sensor_keeps_its_own_columns() -> None:
    grid = BevGrid((80.0, -25.6, -5.0, 156.8, 25.6, 1.0), (0.4, 0.4, 6.0))
    window = HeadWindow.of(grid, DetectionConfig(), 2)
    assert window.kept == slice(0, 30)
    assert window.computed == slice(0, 32)


def test_the_full_grid_is_cut_into_two_tiles() -> None:
    strips = HeadWindow.of(FULL, DetectionConfig(), 2).strips(100)
    assert [strip.computed for strip in strips] == [slice(44, 180), slice(172, 308)]
    assert [strip.kept for strip in strips] == [slice(46, 174), slice(174, 306)]


@given(
    st.integers(2, 200),
    st.integers(0, 60),
    st.integers(1, 150),
    st.floats(3.0, 400.0),
    st.integers(0, 16),
)
def test_tiles_keep_every_column_once_with_a_halo_where_they_meet(
    half: int, shift: int, rows: int, reach: float, halo: int
) -> None:
    low = -3.2 * half + 3.2 * shift
    grid = BevGrid((low, -25.6, -5.0, low + 6.4 * half, 25.6, 1.0), (0.4, 0.4, 6.0))
    window = HeadWindow.of(grid, DetectionConfig(range_x=reach), halo)
    strips = window.strips(rows)
    assert len({strip.computed.stop - strip.computed.start for strip in strips}) == 1
    columns = [column for strip in strips for column in range(strip.kept.start, strip.kept.stop)]
    assert columns == list(range(window.kept.start, window.kept.stop))
    for strip in strips:
        assert strip.computed.start % ALIGNMENT == 0
        assert window.computed.start <= strip.computed.start < strip.computed.stop
        assert strip.computed.stop <= window.computed.stop
        assert strip.inner.start >= min(halo, strip.kept.start - window.computed.start)
        behind = strip.computed.stop - strip.kept.stop
        assert behind >= min(halo, window.computed.stop - strip.kept.stop)


def test_tiles_give_what_the_whole_window_gives(
    int8_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = random_frames(4, int8_bundle.grid, (1,))[0].clouds[0]
    indices = AgentEncoder(int8_bundle, threads=1).encode(cloud).indices
    maps = []
    for cells in (10**9, 900):
        monkeypatch.setattr("quantv2x_ros.inference.window.TILE_CELLS", cells)
        detector = CooperativeDetector(int8_bundle, threads=1)
        maps.append(detector.head_maps([detector.pyramid(indices)], np.eye(4)[None]))
    rows, columns = int8_bundle.grid.shape
    assert -(-rows * columns // 900) > 3
    for name in ("cls", "reg", "dir"):
        np.testing.assert_array_equal(getattr(maps[1], name), getattr(maps[0], name))


@pytest.mark.parametrize(("architecture", "reach"), [("published", 2), ("light", 6)])
def test_the_window_gives_the_same_outputs_as_the_whole_map(
    tmp_path: Path, architecture: str, reach: int
) -> None:
    grid = BevGrid((-51.2, -12.8, -5.0, 51.2, 12.8, 1.0), (0.4, 0.4, 6.0))
    network = random_network(4, grid, architecture=architecture)
    frame = random_frames(4, grid, (2,))[0]
    maps = {}
    for name, range_x in (("whole", 100.0), ("cut", 20.0)):
        settings = BundleSettings(detection=DetectionConfig(range_x=range_x))
        bundle = export_bundle(
            network, tmp_path / name, name=name, precision="fp32", settings=settings
        )
        detector = CooperativeDetector(bundle, threads=2)
        encoder = AgentEncoder(bundle, threads=2)
        pyramids = [detector.pyramid(encoder.encode(cloud).indices) for cloud in frame.clouds]
        maps[name] = detector.head_maps(pyramids, frame.ego_to_agent)
    assert bundle.manifest.head_reach == reach
    kept = HeadWindow.of(grid, DetectionConfig(range_x=20.0), bundle.manifest.head_reach).kept
    assert maps["cut"].cls.shape[1] == kept.stop - kept.start < 128
    np.testing.assert_allclose(maps["cut"].cls, maps["whole"].cls[:, kept], rtol=1e-4, atol=1e-4)
