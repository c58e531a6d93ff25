# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One damaged file of a dataset costs what it holds, is named, and stops nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario

DAMAGE = pytest.mark.parametrize("content", [None, b"", b"123"], ids=["missing", "empty", "cut"])
FAULTS = {None: "the cloud of 000001.yaml is missing", b"": "no point", b"123": "3 bytes are not"}


@pytest.fixture
def scene(tmp_path) -> Path:
    """A vehicle and a roadside unit, three frames."""
    write_scenario(tmp_path / "data" / "scene", seed=3, frames=3, agents=2)
    return tmp_path / "data" / "scene"


def damage(scene: Path, agent: str, content: bytes | None) -> None:
    path = scene / agent / "000001.bin"
    path.unlink() if content is None else path.write_bytes(content)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output + str(result.exception or "")


@DAMAGE
def test_detect_passes_over_other_frames_and_names_what_lacks_in_its_own(
    scene, bundle_folder, tmp_path, content
):
    damage(scene, "-1", content)
    out = tmp_path / "out.json"
    about = ("detect", "--scenario", scene, "--bundle", bundle_folder, "--json", out)
    code, text = run(*about, "--timestamp", "000000")
    assert (code, "left out" in text) == (0, False), text
    assert json.loads(out.read_text())["agents"] == ["1", "-1"]
    code, text = run(*about, "--timestamp", "000001")
    assert code == 0, text
    result = json.loads(out.read_text())
    assert result["agents"] == ["1"]
    (line,) = result["left_out"]
    assert "-1/000001.bin" in line
    assert FAULTS[content] in line
    assert f"left out: {line}" in text
    code, text = run(*about, "--timestamp", "000001", "--ego", "-1")
    assert code == 1
    assert FAULTS[content] in text


@DAMAGE
def test_record_leaves_one_sweep_out_and_names_it(scene, bundle_folder, tmp_path, content):
    damage(scene, "1", content)
    bag = tmp_path / "bag"
    code, text = run("record", "--scenario", scene, "--out", bag)
    assert code == 0, text
    assert "1/000001.bin" in text
    assert FAULTS[content] in text
    with BagReader(bag) as reader:
        assert reader.topics["/agent_1/points"].count == 2
        assert reader.topics["/agent_m1/points"].count == 3


@DAMAGE
def test_evaluate_names_the_file_and_the_option_that_leaves_it_out(
    scene, bundle_folder, tmp_path, content
):
    damage(scene, "1", content)
    out = tmp_path / "out.json"
    about = ("evaluate", "--data", scene.parent, "--bundle", bundle_folder, "--json", out)
    code, text = run(*about)
    assert code == (0 if content == b"" else 1)  # an empty cloud can be evaluated
    assert FAULTS[content] in text.replace("\n", " ")
    assert "--skip-broken" in text
    code, text = run(*about, "--skip-broken")
    assert code == 0, text
    result = json.loads(out.read_text())
    assert FAULTS[content] in result["skipped"][0]
    assert result["frames"] + result["frames_without_ego"] == (3 if content is None else 2)


def test_a_whole_frame_has_the_agents_whose_files_are_whole(scene):
    damage(scene, "-1", b"123")
    scenario = Scenario.open(scene)
    frame, broken = scenario.whole_frame("000001")
    assert list(frame.agents) == ["1"]
    assert [error.path for error in broken] == [scene / "-1" / "000001.bin"]
    frame, broken = scenario.whole_frame("000001", clouds=False)
    assert (list(frame.agents), broken) == (["1", "-1"], [])
    (scene / "1" / "000001.yaml").write_text("{")
    frame, broken = scenario.whole_frame("000001")
    assert (frame.agents, len(broken)) == ({}, 2)


def test_a_scenario_of_which_nothing_is_whole_is_named_by_its_first_fault(scene):
    for path in scene.rglob("*.yaml"):
        path.unlink()
    with pytest.raises(ValueError, match=r"000000\.yaml: the labels of 000000\.bin are missing"):
        Scenario.open(scene, skip_broken=True)


def test_export_is_not_stopped_by_a_frame_that_it_does_not_read(scene):
    pytest.importorskip("torch", reason="export needs torch")
    from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames

    damage(scene, "1", None)
    assert len(list(CalibrationFrames(scene, 2, BevGrid()))) == 2
