# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads of some cells: the bits of the whole map's, and no box lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.detection.detection import detect
from quantv2x_ros.inference import cell_heads
from quantv2x_ros.inference.cell_heads import CellHeads
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.row_parts import DEBLOCKS, HEADS, ROWS, SHRINK
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import SparseHeads
from quantv2x_ros.inference.results import AgentPyramid, HeadMaps, StageTimer
from quantv2x_ros.inference.window import HeadWindow
from quantv2x_ros.training.export.random_bundle import random_frames

CHANNELS = (64, 128, 256)
#: One cell in twenty to ten of the calm bundle has a score above this.
SCORE = 0.2


@pytest.fixture(scope="module")
def calm_bundle(calm_bundle_folder: Path) -> ModelBundle:
    return ModelBundle.load(calm_bundle_folder)


def with_sparse_heads(bundle: ModelBundle, occupancy: float, score: float = SCORE) -> ModelBundle:
    sparse = (SparseHeads(occupancy, score),)
    changed = replace(bundle, manifest=replace(bundle.manifest, sparse_heads=sparse))
    return changed.with_score_threshold(score)


def threshold_of(occupancy: npt.NDArray[np.float32], share: float) -> float:
    """An occupancy that so many cells have, halfway between two that there are."""
    values = np.unique(occupancy)
    above = int(np.searchsorted(values, np.quantile(occupancy, 1.0 - share)))
    return float(values[above - 1] + values[above]) / 2


class Scene:
    """Pyramids of some agents, and where they hold what for possible."""

    def __init__(self, bundle: ModelBundle, agents: int, seed: int = 11) -> None:
        frame = random_frames(seed, bundle.grid, (agents,))[0]
        encoder = AgentEncoder(bundle, threads=2)
        self.dense = CooperativeDetector(bundle, threads=2)
        self.pyramids: list[AgentPyramid] = [
            self.dense.pyramid(encoder.encode(cloud).indices) for cloud in frame.clouds
        ]
        self.transforms = frame.ego_to_agent
        self.occupancy = self.dense.occupancy(self.pyramids, self.transforms)

    def thetas(self) -> npt.NDArray[np.float64]:
        return self.dense._thetas(self.pyramids, self.transforms)

    def of_cells(
        self, cells: npt.NDArray[np.int64], columns: slice = slice(None)
    ) -> dict[str, npt.NDArray[np.float32]]:
        """What whole maps have in some cells of some columns, (n, 1, channels) by name."""
        whole = self.dense.head_maps(self.pyramids, self.transforms)
        maps = {name: getattr(whole, name)[:, columns] for name in ("cls", "reg", "dir")}
        return {k: v.reshape(-1, 1, v.shape[2])[cells] for k, v in maps.items()}

    def maps(self, heads: CellHeads) -> HeadMaps | None:
        sparse = heads._bundle.manifest.sparse_heads[0]
        return heads(self.pyramids, self.thetas(), sparse.occupancy, StageTimer())


@pytest.fixture(scope="module", params=[1, 3])
def scene(request: pytest.FixtureRequest, calm_bundle: ModelBundle) -> Scene:
    return Scene(calm_bundle, request.param)


def heads_of(bundle: ModelBundle, threads: int = 2) -> CellHeads:
    window = HeadWindow.of(bundle.grid, bundle.detection, bundle.manifest.head_reach)
    return CellHeads(bundle, window, threads, CHANNELS)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_they_are_the_bits_of_the_whole_map(
    scene: Scene, calm_bundle: ModelBundle, share: float, threads: int
) -> None:
    least = threshold_of(scene.occupancy, share)
    maps = scene.maps(heads_of(with_sparse_heads(calm_bundle, least), threads))
    assert maps is not None
    assert maps.cells is not None
    assert 0 < len(maps.cells) < 0.5 * scene.occupancy.size
    np.testing.assert_array_equal(maps.cells, np.flatnonzero(scene.occupancy >= least))
    for name, expected in scene.of_cells(maps.cells).items():
        np.testing.assert_array_equal(getattr(maps, name), expected)


def test_a_frame_does_not_see_what_the_one_before_left(calm_bundle: ModelBundle) -> None:
    first, second = Scene(calm_bundle, 2, seed=1), Scene(calm_bundle, 2, seed=2)
    bundle = with_sparse_heads(calm_bundle, float(np.quantile(second.occupancy, 0.9)))
    used = heads_of(bundle)
    first.maps(used)
    found, expected = second.maps(used), second.maps(heads_of(bundle))
    assert found is not None
    assert expected is not None
    for name in ("cells", "cls", "reg", "dir"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_boxes_are_those_of_the_whole_map(
    scene: Scene, calm_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_heads, "MOST_CELLS", 2.0)  # a random network's boxes are everywhere
    whole = scene.dense.head_maps(scene.pyramids, scene.transforms)
    least = float(scene.occupancy[whole.cls.max(axis=2) > np.log(SCORE / (1 - SCORE))].min())
    bundle = with_sparse_heads(calm_bundle, 0.999 * least)
    monkeypatch.setattr(scene.dense, "detection", bundle.detection)
    sparse = CooperativeDetector(bundle, threads=2)
    expected = scene.dense.fuse(scene.pyramids, scene.transforms)
    found = sparse.fuse(scene.pyramids, scene.transforms)
    assert len(expected.detections) > 0
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(
            getattr(found.detections, name), getattr(expected.detections, name)
        )
    np.testing.assert_array_equal(found.contributions, expected.contributions)


def test_a_busy_map_is_computed_whole(
    scene: Scene, calm_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_sparse_heads(calm_bundle, 1e-4)
    assert scene.maps(heads_of(bundle)) is None
    found = CooperativeDetector(bundle, threads=2).fuse(scene.pyramids, scene.transforms)
    monkeypatch.setattr(scene.dense, "detection", bundle.detection)
    expected = scene.dense.fuse(scene.pyramids, scene.transforms)
    assert len(expected.detections) > 0
    np.testing.assert_array_equal(found.detections.boxes, expected.detections.boxes)


def test_all_cells_have_the_bits_of_the_whole_map_up_to_its_border(
    scene: Scene, calm_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_heads, "MOST_CELLS", 2.0)
    maps = scene.maps(heads_of(with_sparse_heads(calm_bundle, 0.5 * scene.occupancy.min())))
    assert maps is not None
    assert maps.cells is not None
    np.testing.assert_array_equal(maps.cells, np.arange(scene.occupancy.size))
    for name, expected in scene.of_cells(maps.cells).items():
        np.testing.assert_array_equal(getattr(maps, name), expected)


class Narrow:
    """A bundle whose range leaves out columns to either side, and the cells that it computes."""

    def __init__(self, scene: Scene, bundle: ModelBundle) -> None:
        detection = replace(bundle.detection, range_x=10.0)
        narrow = replace(bundle, manifest=replace(bundle.manifest, detection=detection))
        self.kept = HeadWindow.of(narrow.grid, detection, narrow.manifest.head_reach).kept
        assert 0 < self.kept.start < self.kept.stop < narrow.grid.shape[1]
        occupancy = scene.occupancy[:, self.kept]
        least = threshold_of(occupancy, 0.3)
        self.bundle = with_sparse_heads(narrow, least, score=0.05)
        self.cells = np.flatnonzero(occupancy >= least)


def test_cells_are_counted_within_the_columns_that_are_kept(
    scene: Scene, calm_bundle: ModelBundle
) -> None:
    narrow = Narrow(scene, calm_bundle)
    maps = scene.maps(heads_of(narrow.bundle))
    assert maps is not None
    assert maps.cells is not None
    np.testing.assert_array_equal(maps.cells, narrow.cells)
    for name, expected in scene.of_cells(narrow.cells, narrow.kept).items():
        np.testing.assert_array_equal(getattr(maps, name), expected)


def test_boxes_start_from_the_anchors_of_their_cells(
    scene: Scene, calm_bundle: ModelBundle
) -> None:
    narrow = Narrow(scene, calm_bundle)
    bundle = narrow.bundle
    found = CooperativeDetector(bundle, threads=2).fuse(scene.pyramids, scene.transforms)
    anchors = bundle.anchors.grid_anchors(bundle.grid).reshape(*bundle.grid.shape, -1, 7)
    kept = anchors[:, narrow.kept].reshape(-1, *anchors.shape[2:])
    maps = scene.of_cells(narrow.cells, narrow.kept)
    of_cells = kept[narrow.cells].reshape(-1, 7)
    expected = detect(maps["cls"], maps["reg"], maps["dir"], of_cells, bundle.detection)
    assert len(expected) > 0
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(found.detections, name), getattr(expected, name))


def test_a_lower_threshold_of_scores_needs_all_cells(
    scene: Scene, calm_bundle: ModelBundle
) -> None:
    bundle = with_sparse_heads(calm_bundle, 0.9999)
    detector = CooperativeDetector(bundle, threads=2)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) == 0
    detector.detection = replace(bundle.detection, score_threshold=SCORE - 0.01)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) > 0


def test_a_higher_threshold_of_scores_takes_its_own_cells(
    scene: Scene, calm_bundle: ModelBundle
) -> None:
    entries = (SparseHeads(1e-4, SCORE), SparseHeads(0.9999, SCORE + 0.1))
    manifest = replace(calm_bundle.manifest, sparse_heads=entries)
    bundle = replace(calm_bundle, manifest=manifest)
    detector = CooperativeDetector(bundle.with_score_threshold(SCORE), threads=2)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) > 0
    detector.detection = replace(bundle.detection, score_threshold=SCORE + 0.1)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) == 0


def test_all_parts_compute_in_int8(calm_bundle: ModelBundle) -> None:
    path = calm_bundle.engine_path("head")
    for part, width in zip((*DEBLOCKS, SHRINK, HEADS), (*CHANNELS, 9 * 384, 9 * 256), strict=True):
        engine = OpenVinoEngine(path, {ROWS: (1, 1, 32, width)}, 1, 1, part)
        precisions = engine.layer_precisions()
        assert precisions
        assert set(precisions.values()) == {"I8"}, part.name
