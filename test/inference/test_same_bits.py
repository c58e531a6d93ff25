# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From clouds to boxes, every processor gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.inference.model.bundle import ModelBundle

#: Encodes, fuses and detects with every engine of a bundle, and writes all that it computes.
PROGRAM = """
import sys
import numpy as np
from dataclasses import replace
from pathlib import Path
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import SparseHeads
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.training.export.random_bundle import random_frames

folder, out = map(Path, sys.argv[1:])
bundle = ModelBundle.load(folder)
sparse = (SparseHeads(1e-4, bundle.detection.score_threshold),)
bundle = replace(bundle, manifest=replace(bundle.manifest, sparse_heads=sparse))
(frame,) = random_frames(5, bundle.grid, (3,))
encoder = AgentEncoder(bundle, "openvino", 2, keep_own=True)
detector = CooperativeDetector(bundle, "openvino", 2)
found, pyramids = {}, []
for agent, cloud in enumerate(frame.clouds):
    sweep = encoder.encode(cloud)
    pyramid = (
        detector.pyramid(sweep.indices, None, frame.ego_to_agent[agent])
        if sweep.own is None
        else detector.own_pyramid(sweep.own)
    )
    found[f"indices{agent}"] = sweep.indices
    found |= {f"level{agent}{i}": level for i, level in enumerate(pyramid.features)}
    found |= {f"score{agent}{i}": score for i, score in enumerate(pyramid.scores)}
    pyramids.append(pyramid)
maps = detector.head_maps(pyramids, frame.ego_to_agent)
found |= {"cls": maps.cls, "reg": maps.reg, "dir": maps.dir}
result = detector.fuse(pyramids, frame.ego_to_agent)
boxes = result.detections
found |= {"boxes": boxes.boxes, "scores": boxes.scores, "labels": boxes.labels}
np.savez(out, contributions=result.contributions, **found)
"""


def computed(bundle: ModelBundle, isa: str, out: Path, repository: Path) -> dict[str, object]:
    """Run the program with oneDNN held to an instruction set."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(bundle.folder), str(out)],
        cwd=repository,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    with np.load(out) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def of_all(int8_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory, repository: Path):
    out = tmp_path_factory.mktemp("bits") / "all.npz"
    return computed(int8_bundle, "ALL", out, repository)


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE_VNNI"])
def test_all_outputs_are_the_same_to_the_bit(
    isa: str, of_all, int8_bundle: ModelBundle, tmp_path: Path, repository: Path
) -> None:
    found = computed(int8_bundle, isa, tmp_path / "held.npz", repository)
    assert set(found) == set(of_all)
    assert len(found["boxes"]) > 3
    assert len(np.unique(found["level02"])) > 10
    for name, array in found.items():
        np.testing.assert_array_equal(array, of_all[name], err_msg=f"{name}, held to {isa}")
