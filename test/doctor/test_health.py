# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's health is shown by engine, or that there is no record of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from quantv2x_ros.doctor.findings import OK, WARNING
from quantv2x_ros.doctor.health import health
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.health import Health, LayerHealth, Operations


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


def give(folder: Path, record: Health | None) -> None:
    manifest = replace(ModelBundle.load(folder).manifest, health=record)
    (folder / "manifest.yaml").write_text(manifest.as_yaml())


RECORD = Health(
    64,
    0.02,
    {
        "encoder/block0": LayerHealth(64, 2, 1, 1),
        "encoder/feature": LayerHealth(64, 0, 0, 0),
        "head/shrink0": LayerHealth(256, 245, 3, 242),
        "head/shrink1": LayerHealth(256, 0, 0, 0),
    },
    {
        "encoder": Operations(4096 * 2_000_000, 4096 * 2_000_000),
        "head": Operations(4096 * 1_000_000, 4096 * 50_000),
    },
)


def test_each_engine_has_its_line(bundle: Path) -> None:
    give(bundle, RECORD)
    encoder, head = health(str(bundle))
    assert (encoder.level, encoder.subject) == (OK, "health of encoder")
    assert encoder.text == (
        "2 of 128 channels never fired on 64 frames (1 doubtful, 1 left out);"
        " 2,000.0 thousand multiply-accumulates a cell, 8.19 G a frame and agent"
    )
    assert (head.level, head.subject) == (WARNING, "health of head")
    assert head.text == (
        "245 of 512 channels never fired on 64 frames (3 doubtful, 242 left out);"
        " 50.0 thousand multiply-accumulates a cell, 0.20 G a frame instead of 4.10 G;"
        " shrink0 245 of 256"
    )
    assert "docs/training.md" in head.remedy


def test_a_bundle_without_a_record_says_so(bundle: Path, tmp_path: Path) -> None:
    give(bundle, None)
    (finding,) = health(str(bundle))
    assert finding.level == OK
    assert "has no record of channels that never fire" in finding.text
    assert health(str(tmp_path / "none")) == [], "another finding says that there is no bundle"
