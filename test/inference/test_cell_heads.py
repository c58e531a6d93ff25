# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads of some cells: the bits of the whole map's, and no box lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.inference import cell_heads
from quantv2x_ros.inference.bundle import BundleError, ModelBundle
from quantv2x_ros.inference.cell_heads import CellHeads
from quantv2x_ros.inference.manifest import SparseHeads
from quantv2x_ros.inference.openvino import OpenVinoEngine
from quantv2x_ros.inference.pipeline import AgentEncoder, AgentPyramid, CooperativeDetector
from quantv2x_ros.inference.results import HeadMaps, StageTimer
from quantv2x_ros.inference.row_parts import DEBLOCKS, HEADS, ROWS, SHRINK
from quantv2x_ros.inference.window import HeadWindow
from quantv2x_ros.training.export.random_bundle import random_frames

CHANNELS = (64, 128, 256)
#: The random network's scores; half its cells have one above this.
SCORE = 0.2


def with_sparse_heads(bundle: ModelBundle, occupancy: float, score: float = SCORE) -> ModelBundle:
    sparse = SparseHeads(occupancy, score)
    changed = replace(bundle, manifest=replace(bundle.manifest, sparse_heads=sparse))
    return changed.with_score_threshold(score)


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

    def maps(self, heads: CellHeads) -> HeadMaps | None:
        return heads(self.pyramids, self.thetas(), StageTimer())


@pytest.fixture(scope="module", params=[1, 3])
def scene(request: pytest.FixtureRequest, int8_bundle: ModelBundle) -> Scene:
    return Scene(int8_bundle, request.param)


def heads_of(bundle: ModelBundle, threads: int = 2) -> CellHeads:
    window = HeadWindow.of(bundle.grid, bundle.detection)
    return CellHeads(bundle, window, threads, CHANNELS)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_they_are_the_bits_of_the_whole_map(
    scene: Scene, int8_bundle: ModelBundle, share: float, threads: int
) -> None:
    least = float(np.quantile(scene.occupancy, 1.0 - share))
    maps = scene.maps(heads_of(with_sparse_heads(int8_bundle, least), threads))
    assert maps is not None
    assert maps.cells is not None
    assert 0 < len(maps.cells) < 0.5 * scene.occupancy.size
    assert (scene.occupancy.reshape(-1)[maps.cells] >= np.float32(least) * (1 - 1e-6)).all()
    whole = scene.dense.head_maps(scene.pyramids, scene.transforms)
    for name in ("cls", "reg", "dir"):
        expected = getattr(whole, name).reshape(-1, getattr(whole, name).shape[2])
        np.testing.assert_array_equal(getattr(maps, name)[:, 0], expected[maps.cells])


def test_a_frame_does_not_see_what_the_one_before_left(int8_bundle: ModelBundle) -> None:
    first, second = Scene(int8_bundle, 2, seed=1), Scene(int8_bundle, 2, seed=2)
    bundle = with_sparse_heads(int8_bundle, float(np.quantile(second.occupancy, 0.9)))
    used = heads_of(bundle)
    first.maps(used)
    found, expected = second.maps(used), second.maps(heads_of(bundle))
    assert found is not None
    assert expected is not None
    for name in ("cells", "cls", "reg", "dir"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_boxes_are_those_of_the_whole_map(
    scene: Scene, int8_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_heads, "MOST_CELLS", 2.0)  # a random network's boxes are everywhere
    whole = scene.dense.head_maps(scene.pyramids, scene.transforms)
    least = float(scene.occupancy[whole.cls.max(axis=2) > np.log(SCORE / (1 - SCORE))].min())
    bundle = with_sparse_heads(int8_bundle, 0.999 * least)
    dense = CooperativeDetector(int8_bundle.with_score_threshold(SCORE), threads=2)
    sparse = CooperativeDetector(bundle, threads=2)
    expected = dense.fuse(scene.pyramids, scene.transforms)
    found = sparse.fuse(scene.pyramids, scene.transforms)
    assert len(expected.detections) > 0
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(
            getattr(found.detections, name), getattr(expected.detections, name)
        )
    np.testing.assert_array_equal(found.contributions, expected.contributions)


def test_a_busy_map_is_computed_whole(
    scene: Scene, int8_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_sparse_heads(int8_bundle, 1e-4)
    assert scene.maps(heads_of(bundle)) is None
    found = CooperativeDetector(bundle, threads=2).fuse(scene.pyramids, scene.transforms)
    dense = CooperativeDetector(int8_bundle.with_score_threshold(SCORE), threads=2)
    expected = dense.fuse(scene.pyramids, scene.transforms)
    np.testing.assert_array_equal(found.detections.boxes, expected.detections.boxes)
    monkeypatch.setattr(cell_heads, "MOST_CELLS", 2.0)
    maps = scene.maps(heads_of(bundle))
    assert maps is not None
    assert maps.cells is not None
    assert len(maps.cells) == scene.occupancy.size


def test_a_lower_threshold_of_scores_needs_all_cells(
    scene: Scene, int8_bundle: ModelBundle
) -> None:
    bundle = with_sparse_heads(int8_bundle, 0.9999)
    detector = CooperativeDetector(bundle, threads=2)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) == 0
    detector.detection = replace(bundle.detection, score_threshold=SCORE - 0.01)
    assert len(detector.fuse(scene.pyramids, scene.transforms).detections) > 0


def test_all_parts_compute_in_int8(int8_bundle: ModelBundle) -> None:
    path = int8_bundle.engine_path("head")
    for part, width in zip((*DEBLOCKS, SHRINK, HEADS), (*CHANNELS, 9 * 384, 9 * 256), strict=True):
        engine = OpenVinoEngine(path, {ROWS: (1, 1, 32, width)}, 1, 1, part)
        precisions = engine.layer_precisions()
        assert precisions
        assert set(precisions.values()) == {"I8"}, part.name


def test_a_bundle_that_does_not_say_where_has_none(int8_bundle: ModelBundle) -> None:
    with pytest.raises(BundleError, match="has no sparse_heads"):
        heads_of(replace(int8_bundle, manifest=replace(int8_bundle.manifest, sparse_heads=None)))
