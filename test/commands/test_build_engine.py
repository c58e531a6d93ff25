# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`build-engine`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app


def test_plans_of_a_bundle_are_built_and_described(bundle_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="its wheels exist for x86-64 Linux only")
    arguments = ["build-engine", "--bundle", str(bundle_folder), "--out", str(tmp_path / "plans")]
    result = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "plans.json")])
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "plans.json").read_text())
    assert {name: len(item["precisions"]) for name, item in facts.items()} == {
        "encoder": 6,
        "pyramid": 22,
        "fuse": 18,
    }
    for name, item in facts.items():
        assert set(item["precisions"].values()) == {"int8"}
        assert (tmp_path / "plans" / name / "plan.trt").stat().st_size == item["bytes"]
    assert "22 convolutions in int8" in result.output


def test_a_backend_that_builds_nothing_is_one_sentence(bundle_folder: Path) -> None:
    result = CliRunner().invoke(
        app, ["build-engine", "--bundle", str(bundle_folder), "--backend", "abacus"]
    )
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "'abacus'" in result.output
