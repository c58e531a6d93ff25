# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scan of a dataset names every broken file, and counts what is there."""

import json
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import OBJECT_TYPES
from quantv2x_ros.doctor.dataset_doctor import examine_dataset


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def copy(tmp_path, dataset):
    shutil.copytree(dataset, tmp_path / "data")
    return tmp_path / "data"


def broken(root, **options):
    return {str(error.path): error.problem for error in examine_dataset(root, **options).broken}


def test_a_sound_dataset_is_counted(dataset):
    found = examine_dataset(dataset).as_dict()
    assert found["broken"] == []
    assert found["splits"] == {"test": 2}
    assert (found["scenarios"], found["frames"], found["agent_frames"]) == (2, 6, 18)
    assert found["agents"] == {"vehicle": 4, "infrastructure": 2}
    assert found["agents_per_frame"] == {"3": 6}
    assert found["frames_by_mode"] == {"vc": 6, "ic": 6, "v2v": 6, "i2i": 6}
    labels = identities = points = 0
    for folder in sorted((dataset / "test").iterdir()):
        scenario = Scenario.open(folder)
        seen = set()
        for frame in scenario.frames():
            for agent in frame.agents.values():
                points += len(agent.points)
                cars = [item.object_id for item in agent.objects if item.label == 1]
                labels += len(cars)
                seen.update(cars)
        identities += len(seen)
    assert found["objects"]["vehicle"] == {"labels": labels, "objects": identities}
    assert found["points"] == points


def test_every_broken_file_is_named_once_with_its_fault(copy):
    scene = copy / "test" / "scene_3"
    (scene / "1" / "000001.yaml").unlink()
    (scene / "2" / "000000.bin").unlink()
    (scene / "2" / "000001.bin").write_bytes(b"123")
    (scene / "-1" / "000002.yaml").write_text("{")
    path = copy / "test" / "scene_4" / "1" / "000000.yaml"
    path.write_text(path.read_text().replace("lidar_pose", "lidar_place"))
    faults = broken(copy)
    assert {
        name.removeprefix(f"{copy}/test/"): text.split()[0] for name, text in faults.items()
    } == {
        "scene_3/1/000001.yaml": "the",
        "scene_3/2/000000.bin": "the",
        "scene_3/2/000001.bin": "3",
        "scene_3/-1/000002.yaml": "it",
        "scene_4/1/000000.yaml": "it",
    }
    found = examine_dataset(copy).as_dict()
    assert found["agent_frames"] == 18 - 4  # all but those without labels or cloud
    assert any("scene_3/1: 1 of 3 frames are not there: 000001" in note for note in found["notes"])


def test_labels_alone_can_be_read(copy):
    (copy / "test" / "scene_3" / "2" / "000001.bin").write_bytes(b"123")
    assert broken(copy, clouds=False) == {}
    assert len(broken(copy)) == 1


def test_objects_that_no_one_can_learn_from_are_named(copy):
    path = copy / "test" / "scene_3" / "1" / "000000.yaml"
    path.write_text(
        "lidar_pose: [0, 0, 2, 0, 0, 0]\ninfra: false\nvehicles:\n"
        "  1: {location: [9, 0, 1], angle: [0, 0, 0], extent: [2, 0, 1], obj_type: Car}\n"
        "  2: {location: [9, 0, 1], angle: [0, 0, 0], extent: [2, 1, 1]}\n"
        "  3: {location: [9, 0, 1], angle: [0, 0, 0], extent: [2, 1, 1], obj_type: Tree}\n"
    )
    census = examine_dataset(copy)
    assert sorted(error.problem.split(":")[0] for error in census.broken) == [
        "object 1 has no size",
        "object 2 has no obj_type",
    ]
    assert census.ignored["Tree"] == 1


def test_empty_splits_and_folders_of_labels_alone_are_found(copy):
    (copy / "train").mkdir()
    for path in (copy / "test" / "scene_3" / "2").glob("*.bin"):
        path.unlink()
    faults = broken(copy)
    assert faults[str(copy / "train")] == "the split holds no scenario"
    assert "not one cloud" in faults[str(copy / "test" / "scene_3" / "2")]


def test_classes_that_are_missing_and_labels_that_disagree_are_noted(copy):
    trucks = [name for name, label in OBJECT_TYPES.items() if label == "truck"]
    for path in copy.rglob("*.yaml"):
        text = path.read_text()
        for name in trucks:
            text = text.replace(f"obj_type: {name}\n", "obj_type: Car\n").replace(
                f"obj_type: {name}}}", "obj_type: Car}"
            )
        path.write_text(text)
    found = examine_dataset(copy).as_dict()
    assert found["objects"]["truck"] == {"labels": 0, "objects": 0}
    assert found["notes"] == [
        "no object of class truck: it can be neither learned nor measured here"
    ]
    scene = copy / "test" / "scene_3"
    frame = Scenario.open(scene).frame("000000")
    first, second = (
        {item.object_id for item in frame[name].objects if item.label == 1} for name in ("1", "-1")
    )
    common = min(first & second)
    path = scene / "1" / "000000.yaml"
    document = yaml.safe_load(path.read_text())
    document["vehicles"][common]["obj_type"] = "Bus"
    path.write_text(yaml.safe_dump(document))
    (note,) = examine_dataset(copy).as_dict()["notes"]
    assert f"object {common} is labelled truck and vehicle" in note


def test_a_folder_that_is_no_dataset(tmp_path):
    assert broken(tmp_path) == {str(tmp_path): "there is no scenario in it"}
    assert "no such folder" in broken(tmp_path / "none")[str(tmp_path / "none")]


def test_the_command_prints_counts_and_ends_with_1_where_something_is_broken(copy, tmp_path):
    out = tmp_path / "census.json"
    result = run("doctor", "--data", copy, "--json", out)
    assert result.exit_code == 0, result.output
    assert "agents: vehicle" in result.output
    assert json.loads(out.read_text())["frames"] == 6
    (copy / "test" / "scene_3" / "2" / "000001.bin").write_bytes(b"123")
    result = run("doctor", "--data", copy)
    assert result.exit_code == 1
    assert "broken: " in result.output
    assert "2/000001.bin: 3 bytes are not whole points" in result.output


def test_without_a_dataset_the_machine_is_looked_at():
    result = run("doctor")
    assert result.exit_code in (0, 1), "1 where it finds an error"
    assert "bundle" in result.output
