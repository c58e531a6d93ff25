# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`benchmark`, from the command to the picture, on a small bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from quantv2x_ros.benchmark.plot import save_plot
from quantv2x_ros.cli import app
from quantv2x_ros.environment.provenance import Provenance
from quantv2x_ros.results.kinds import KINDS


@pytest.fixture(scope="module")
def result(
    bundle_folder: Path, scenario_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    pytest.importorskip("shapely", reason="the reference's polygons need it")
    out = tmp_path_factory.mktemp("benchmark")
    arguments = ["benchmark", "--bundle", str(bundle_folder), "--scenario", str(scenario_folder)]
    arguments += ["--rounds", "1", "--repeats", "1", "--max-agents", "2", "--points", "2000"]
    arguments += ["--threads", "1", "--no-scaling", "--isa", "avx2"]
    outcome = CliRunner().invoke(app, [*arguments, "--json", str(out / "result.json")])
    assert outcome.exit_code == 0, outcome.output
    assert "roofline" in outcome.output
    loaded: dict[str, Any] = json.loads((out / "result.json").read_text())
    return loaded


def test_stages_of_both_sides_are_compared(result: dict[str, Any]) -> None:
    assert set(result["stages"]) == {"encoder", "fusion", "detection", "frame", "nms"}
    for row in result["stages"].values():
        assert 0 < row["ours"]["p50"] <= row["ours"]["p95"] <= row["ours"]["p99"]
        assert row["ratio"] == pytest.approx(
            row["torch_fp32"]["p50"] / row["ours"]["p50"], abs=0.006
        )
    assert result["stages"]["nms"]["candidates"] == 1000


def test_finer_stages_add_up_to_the_frame(result: dict[str, Any]) -> None:
    stages = {name: row["p50"] for name, row in result["finer_stages"].items()}
    encoder = sum(stages[f"encoder.{part}"] for part in ("pillars", "encoder", "codebook"))
    assert encoder <= stages["encoder"]
    fusion = 2 * stages["fusion.pyramid_per_agent"] + stages["fusion.warp"] + stages["fusion.head"]
    assert fusion <= stages["fusion"] * 1.01
    parts = 2 * stages["encoder"] + stages["fusion"] + stages["detection"]
    assert parts == pytest.approx(stages["frame"], rel=0.01)


def test_every_number_of_agents_has_times_and_memory(result: dict[str, Any]) -> None:
    assert list(result["agents"]) == ["1", "2"]
    for row in result["agents"].values():
        assert row["ours"]["frame"]["runs"] == row["torch_fp32"]["frame"]["runs"] == 1
    for peaks in result["peak_memory_mb"].values():
        assert list(peaks) == ["0", "1", "2"]
        assert 0 < peaks["0"] <= peaks["1"] <= peaks["2"]


def test_the_machine_and_its_ceilings_are_stated(result: dict[str, Any]) -> None:
    assert result["machine"]["instruction_set"].startswith("avx2")
    assert result["machine"]["threads"] == 1
    assert {"openvino", "torch", "numpy"} <= set(result["machine"]["versions"])
    ceilings = result["roofline"]["ceilings"]
    assert ceilings["int8_gmacs_per_second"] > 0
    assert ceilings["memory_gb_per_second"] > 0
    stages = result["roofline"]["stages"]
    assert set(stages) == {
        "encoder.pillars",
        "encoder.encoder",
        "encoder.codebook",
        "fusion.pyramid_per_agent",
        "fusion.warp",
        "fusion.head",
    }


def test_the_result_says_where_it_comes_from(result: dict[str, Any]) -> None:
    origin = Provenance.parse(result["provenance"])
    assert (origin.bundle, origin.bundle_version) == (
        result["bundle"]["name"],
        result["bundle"]["version"],
    )
    assert origin.instruction_set.startswith("avx2 (held to it")


@pytest.mark.parametrize(("kind", "row"), [("stages", "whole frame"), ("roofline", "codebook")])
def test_tables_are_made_of_the_result(result: dict[str, Any], kind: str, row: str) -> None:
    text = KINDS[kind].make({"": [result]}, {})
    values = next(line for line in text.splitlines() if line.startswith(f"| {row} |"))
    measured = result["finer_stages"]["encoder.codebook" if kind == "roofline" else "frame"]["p50"]
    assert values.split(" | ")[1] == (f"{measured:.0f}" if measured >= 99.95 else f"{measured:.1f}")


def test_a_picture_is_drawn(result: dict[str, Any], tmp_path: Path) -> None:
    save_plot(result, tmp_path / "plots" / "benchmark.png")
    assert (tmp_path / "plots" / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_a_process_that_fails_ends_the_command(bundle_folder: Path, tmp_path: Path) -> None:
    arguments = ["benchmark", "--bundle", str(bundle_folder), "--scenario", str(tmp_path)]
    outcome = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "result.json")])
    assert outcome.exit_code == 1
    assert not (tmp_path / "result.json").exists()
