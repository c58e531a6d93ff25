# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds that are chosen on a dataset and written into a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.evaluation.thresholds import choose_thresholds
from quantv2x_ros.inference.model.bundle import ModelBundle


def test_the_command_writes_the_best_thresholds_into_the_bundle(
    tmp_path: Path, dataset: Path
) -> None:
    folder, scene = tmp_path / "bundle", dataset / "test" / "scene_3"
    shutil.copytree(find_bundle(""), folder)
    before = ModelBundle.load(folder)
    command = ["choose-thresholds", "--bundle", str(folder), "--data", str(scene)]
    result = CliRunner().invoke(app, [*command, "--threads", "1"])
    assert result.exit_code == 0, result.output
    after = ModelBundle.load(folder)
    points = choose_thresholds(before, scene, threads=1)
    assert after.detection.class_thresholds == tuple(p.threshold for p in points.values())
    assert points["vehicle"].f1 > 0.5
    assert after.codebook_id == before.codebook_id
    assert after.detection.competing == before.detection.competing
    precise = choose_thresholds(before, scene, 0.97, threads=1)["vehicle"]
    assert precise.precision >= 0.97
    assert precise.threshold > points["vehicle"].threshold
