# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a bundle's manifest says of where its heads need computing was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.manifest import MANIFEST_NAME
from quantv2x_ros.inference.pipeline import AgentEncoder, CooperativeDetector
from quantv2x_ros.training.export.random_bundle import random_frames
from quantv2x_ros.training.export.sparse_heads import (
    MISSED,
    measure_sparse_heads,
    record_sparse_heads,
)

SCORE = 0.3


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> ModelBundle:
    return ModelBundle.load(bundle_folder)


def test_all_but_a_few_cells_with_a_candidate_have_the_occupancy(bundle: ModelBundle) -> None:
    frames = random_frames(21, bundle.grid, (1, 2))
    sparse = measure_sparse_heads(bundle, frames, SCORE)
    assert sparse is not None
    assert sparse.score == SCORE
    encoder, detector = AgentEncoder(bundle), CooperativeDetector(bundle)
    found = []
    for frame in frames:
        pyramids = [
            detector.pyramid(encoder.encode(cloud).indices, None, transform)
            for cloud, transform in zip(frame.clouds, frame.ego_to_agent, strict=True)
        ]
        scores = 1 / (1 + np.exp(-detector.head_maps(pyramids, frame.ego_to_agent).cls.max(axis=2)))
        found.append(detector.occupancy(pyramids, frame.ego_to_agent)[scores > SCORE])
    occupancy = np.concatenate(found)
    assert len(occupancy) > 100
    assert (occupancy < sparse.occupancy).mean() <= MISSED
    assert (occupancy < sparse.occupancy + 2e-4).mean() > MISSED / 2


def test_without_a_candidate_nothing_is_said(bundle: ModelBundle) -> None:
    assert measure_sparse_heads(bundle, []) is None


def test_the_manifest_says_it_and_nothing_else_changes(
    bundle: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    before = yaml.safe_load((folder / MANIFEST_NAME).read_text())
    frames = random_frames(23, bundle.grid, (2,))
    recorded = record_sparse_heads(folder, frames)
    assert recorded.manifest.sparse_heads == measure_sparse_heads(bundle, frames)
    after = yaml.safe_load((folder / MANIFEST_NAME).read_text())
    assert after.pop("sparse_heads")["score"] == 0.2
    assert before.pop("sparse_heads", None) is None
    assert after == before
    assert record_sparse_heads(folder, []).manifest.sparse_heads is None
    assert "computed in all cells" in caplog.text
