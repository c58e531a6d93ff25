# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle's manifest says of where its heads need computing was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import MANIFEST_NAME
from quantv2x_ros.training.export import sparse_heads
from quantv2x_ros.training.export.random_bundle import random_frames
from quantv2x_ros.training.export.sparse_heads import (
    MISSED,
    measure_sparse_heads,
    record_sparse_heads,
)
from quantv2x_ros.training.quantization.simulation import CalibrationFrame

SCORE = 0.3


@pytest.fixture(scope="module")
def bundle(calm_bundle_folder: Path) -> ModelBundle:
    return ModelBundle.load(calm_bundle_folder)


@pytest.fixture(scope="module")
def frames(bundle: ModelBundle) -> list[CalibrationFrame]:
    return random_frames(21, bundle.grid, (1, 2))


@pytest.fixture(scope="module")
def of_candidates(bundle: ModelBundle, frames: list[CalibrationFrame]) -> npt.NDArray[np.float32]:
    """Occupancies of the cells with a score above SCORE."""
    encoder, detector = AgentEncoder(bundle), CooperativeDetector(bundle)
    found = []
    for frame in frames:
        pyramids = [
            detector.pyramid(encoder.encode(cloud).indices, None, transform)
            for cloud, transform in zip(frame.clouds, frame.ego_to_agent, strict=True)
        ]
        scores = 1 / (1 + np.exp(-detector.head_maps(pyramids, frame.ego_to_agent).cls.max(axis=2)))
        assert 0.01 < (scores > SCORE).mean() < 0.2
        found.append(detector.occupancy(pyramids, frame.ego_to_agent)[scores > SCORE])
    return np.concatenate(found)


@pytest.mark.parametrize("missed", [MISSED, 0.9, 0.98])
def test_no_more_cells_with_a_candidate_are_left_out_than_may_be(
    bundle: ModelBundle,
    frames: list[CalibrationFrame],
    of_candidates: npt.NDArray[np.float32],
    missed: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparse_heads, "MISSED", missed)
    (sparse,) = measure_sparse_heads(bundle, frames, [SCORE])
    assert sparse.score == SCORE
    assert (of_candidates < sparse.occupancy).mean() <= missed
    # nor fewer: the next step of 1e-4 would leave out more
    assert (of_candidates < sparse.occupancy + 1e-4).mean() > missed


def test_without_a_candidate_nothing_is_said(
    bundle: ModelBundle, frames: list[CalibrationFrame]
) -> None:
    assert measure_sparse_heads(bundle, []) == ()
    assert measure_sparse_heads(bundle, frames, [0.9999]) == ()


def test_each_threshold_of_scores_has_its_own_entry(
    bundle: ModelBundle, frames: list[CalibrationFrame]
) -> None:
    found = measure_sparse_heads(bundle, frames, [0.9999, SCORE, SCORE - 0.1])
    each = [measure_sparse_heads(bundle, frames, [score])[0] for score in (SCORE - 0.1, SCORE)]
    assert found == tuple(each)


def test_the_manifest_says_it_and_nothing_else_changes(
    bundle: ModelBundle, frames: list[CalibrationFrame], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    before = yaml.safe_load((folder / MANIFEST_NAME).read_text())
    recorded = record_sparse_heads(folder, frames[:1])
    assert recorded.manifest.sparse_heads == measure_sparse_heads(bundle, frames[:1])
    after = yaml.safe_load((folder / MANIFEST_NAME).read_text())
    scores = [entry["score"] for entry in after.pop("sparse_heads")]
    assert scores == [0.2, bundle.detection.score_threshold]
    assert before.pop("sparse_heads", None) is None
    assert after == before


def test_an_entry_that_no_frame_supports_is_taken_out(
    bundle: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    document = yaml.safe_load((folder / MANIFEST_NAME).read_text())
    document["sparse_heads"] = [{"occupancy": 0.1, "score": 0.2}]
    (folder / MANIFEST_NAME).write_text(yaml.safe_dump(document))
    assert ModelBundle.load(folder).manifest.sparse_heads
    assert record_sparse_heads(folder, []).manifest.sparse_heads == ()
    assert "computed in all cells" in caplog.text
