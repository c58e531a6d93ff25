# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets whose clouds are in another frame than the model expects, and how that is said."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.geometry.pose import (
    extrinsics_matrix,
    invert,
    matrix_from_quaternion,
    matrix_from_v2x,
    transform_points,
    v2x_from_matrix,
)
from quantv2x_ros.core.placement.cloud_placement import parse_placement

SCENE = "scene_3"
#: Right angles, so that no rounding is left; by what the clouds' frame is.
MOUNTS = {"y forward": "0,0,0,0,0,90", "upside down": "0,0,0,180,0,0"}


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def laid(dataset, tmp_path_factory):
    """Makes a copy of a scenario in whose clouds' and poses' frame the LiDAR is mounted so."""

    def lay(mount):
        matrix = parse_placement(mount).extrinsics
        root = tmp_path_factory.mktemp("laid") / SCENE
        for file in sorted((dataset / "test" / SCENE).rglob("*.bin")):
            folder = root / file.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            cloud = np.fromfile(file, np.float32).reshape(-1, 4)
            cloud[:, :3] = transform_points(cloud, matrix)
            cloud.tofile(folder / file.name)
            labels = yaml.safe_load(file.with_suffix(".yaml").read_text())
            pose = matrix_from_v2x(labels["lidar_pose"]) @ invert(matrix)
            labels["lidar_pose"] = v2x_from_matrix(pose).tolist()
            (folder / file.name).with_suffix(".yaml").write_text(yaml.safe_dump(labels))
        return root

    return lay


@pytest.mark.parametrize("name", MOUNTS)
def test_boxes_are_those_of_the_lidars_frame_in_that_of_the_cloud(
    tmp_path, dataset, bundles, laid, name
):
    mount = MOUNTS[name]
    given = {"plain": (dataset / "test" / SCENE, []), "laid": (laid(mount), [mount])}
    found = {}
    for key, (folder, mounts) in given.items():
        options = [f"--cloud-mount={item}" for item in mounts]
        out = tmp_path / f"{key}.json"
        picture = tmp_path / f"{key}.png"
        run("detect", "--scenario", folder, "--bundle", bundles["int8"], "--json", out,
            "--picture", picture, *options)  # fmt: skip
        found[key] = json.loads(out.read_text())["objects"]
        assert picture.is_file()
    assert len(found["plain"]) == len(found["laid"]) > 0
    matrix = parse_placement(mount).extrinsics
    for one, other in zip(found["plain"], found["laid"], strict=True):
        box = extrinsics_matrix([*one["center"], 0.0, 0.0, np.degrees(one["yaw"])])
        expected = matrix @ box
        np.testing.assert_allclose(other["center"], expected[:3, 3], atol=1e-3)
        turned = matrix_from_quaternion(other["center"], other["orientation"])
        np.testing.assert_allclose(turned, expected, atol=1e-3)
        assert other["score"] == pytest.approx(one["score"], abs=1e-5)
        heading = np.array([np.cos(other["yaw"]), np.sin(other["yaw"])])
        np.testing.assert_allclose(heading, expected[:2, 0], atol=1e-3)


def test_evaluation_of_placed_clouds_is_that_of_the_lidars(tmp_path, dataset, bundles, laid):
    scores = []
    for folder, options in (
        (dataset / "test" / SCENE, []),
        (
            laid(MOUNTS["y forward"]),
            ["--set", f"clouds.mount=[{MOUNTS['y forward']}]", "--set", "clouds.scale=1.0"],
        ),
    ):
        out = tmp_path / "ap.json"
        run("evaluate", "--data", folder, "--bundle", bundles["int8"], "--json", out,
            "--set", "measure.score_threshold=0.0", "--max-frames", 1, *options)  # fmt: skip
        scores.append(json.loads(out.read_text()))
    assert scores[0]["AP"] == scores[1]["AP"]
    assert scores[0]["bytes_per_frame"] == scores[1]["bytes_per_frame"]
    assert scores[0]["cloud_mount"] == [0.0] * 6
    np.testing.assert_allclose(scores[1]["cloud_mount"], [0, 0, 0, 0, 0, 90])


def test_how_a_cloud_lies_is_noted_with_the_option_that_mends_it(tmp_path, bundles, laid):
    folder = laid(MOUNTS["upside down"])
    cloud = sorted((folder / "1").glob("*.bin"))[0]
    out = tmp_path / "out.json"
    detect = ("detect", "--bundle", bundles["int8"], "--json", out)
    for options in (["--scenario", folder], ["--cloud", cloud]):
        said = run(*detect, *options)
        (option,) = set(re.findall(r"agent (?:1|\d{6}): .* upside down .* set (\S+)", said))
        assert option.startswith("--cloud-mount=")
        assert any("upside down" in note for note in json.loads(out.read_text())["notes"].values())
        assert "upside down" not in run(*detect, *options, option)


def test_millimetres_are_noted_with_the_scale(tmp_path, dataset, bundles):
    cloud = np.fromfile(
        sorted((dataset / "test" / SCENE / "1").glob("*.bin"))[0], np.float32
    ).reshape(-1, 4)
    cloud[:, :3] *= 1000
    path, out = tmp_path / "cloud.bin", tmp_path / "out.json"
    cloud.tofile(path)
    detect = ("detect", "--bundle", bundles["int8"], "--json", out, "--cloud", path)
    assert "seems to be in millimetres" in run(*detect)
    assert "--cloud-scale 0.001" in json.loads(out.read_text())["notes"]["cloud"]
    assert "millimetres" not in run(*detect, "--cloud-scale", "0.001")


def test_what_is_no_mount_is_one_sentence(tmp_path, dataset, bundles):
    result = CliRunner().invoke(
        app,
        ["detect", "--scenario", str(dataset / "test" / SCENE), "--bundle", str(bundles["int8"]),
         "--json", str(tmp_path / "out.json"), "--cloud-mount=1,2"],
    )  # fmt: skip
    assert result.exit_code == 1
    assert "expected six finite numbers" in result.output
    assert "Traceback" not in result.output
