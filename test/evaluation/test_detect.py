# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection on one frame: the whole path, and the command around it."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.coding.wire import packed_size
from quantv2x_ros.core.geometry.boxes import bev_iou
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.detect import choose_agents, cloud_input, frame_input
from quantv2x_ros.evaluation.detector import EngineDetector, detect_once
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import BundleError


@pytest.fixture(scope="module")
def scenario(dataset):
    return Scenario.open(dataset / "test" / "scene_3")


@pytest.fixture(scope="module")
def frame(scenario):
    return scenario.frame(scenario.timestamps[0])


@pytest.fixture(scope="module")
def given(frame):
    return frame_input(frame, list(frame.agents))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_bytes_on_the_air_change_nothing(detector, given):
    """Through encoded payloads the boxes are those of the index maps themselves."""
    detections, sizes, _ = detect_once(detector, given.clouds, given.ego_to_agents)
    encoder = AgentEncoder(detector.bundle)
    direct = CooperativeDetector(detector.bundle)
    pyramids = [
        direct.pyramid(encoder.encode(points).indices, None, transform)
        for points, transform in zip(given.clouds.values(), given.ego_to_agents, strict=True)
    ]
    expected = direct.fuse(pyramids, given.ego_to_agents).detections
    assert len(expected) > 0
    np.testing.assert_array_equal(detections.boxes, expected.boxes)
    np.testing.assert_array_equal(detections.scores, expected.scores)
    book = detector.bundle.codebook
    shape = (book.levels * book.segments, *detector.bundle.grid.shape)
    assert sizes == dict.fromkeys(given.clouds, packed_size(shape, detector.bundle.entropy_model))


def test_peers_change_what_is_seen(detector, given):
    together, _, _ = detect_once(detector, given.clouds, given.ego_to_agents)
    alone = given.alone()
    lonely, _, _ = detect_once(detector, alone.clouds, alone.ego_to_agents)
    assert list(alone.clouds) == [given.ego]
    assert together.boxes.shape != lonely.boxes.shape or not np.allclose(
        together.boxes, lonely.boxes
    )


def test_the_torch_network_finds_what_its_fp32_engines_find(bundles, given, frame):
    engines = open_detector(bundles["fp32"])
    # one thread: how torch splits sums among more differs, and random weights amplify it
    network = open_detector(bundles["int8"], "fp32", threads=1)
    assert isinstance(engines, EngineDetector)
    assert not isinstance(network, EngineDetector)
    transforms = frame.ego_to_agents(list(given.clouds))
    ours, _, _ = detect_once(engines, given.clouds, transforms)
    theirs, _, stages = detect_once(network, given.clouds, transforms)
    assert set(stages) == {"encoder", "fusion", "detection"}
    assert len(ours) > 0
    overlap = bev_iou(ours.boxes, theirs.boxes)
    assert len(ours) == pytest.approx(len(theirs), rel=0.02)
    # sums of another order choose another code in some cells, and random weights amplify it there
    assert (overlap.max(axis=1) > 0.9).mean() > 0.9
    assert (overlap.max(axis=0) > 0.9).mean() > 0.9
    assert np.median(overlap.max(axis=1)) > 0.999


def test_a_precision_that_the_bundle_has_not_is_refused(bundles):
    with pytest.raises(BundleError, match="'int8' was asked for, its engines are fp32"):
        open_detector(bundles["fp32"], "int8")


def test_the_ego_is_the_first_agent_and_the_nearest_peers_are_taken(frame):
    assert choose_agents(frame, None, "all", 5)[0] == next(iter(frame.agents))
    ego = list(frame.agents)[-1]
    everyone = choose_agents(frame, ego, "all", 5)
    assert everyone[0] == ego
    assert sorted(everyone) == sorted(frame.agents)
    distances = [np.linalg.norm(frame[n].pose[:3, 3] - frame[ego].pose[:3, 3]) for n in everyone]
    assert distances == sorted(distances)
    assert choose_agents(frame, ego, "all", 2) == everyone[:2]


def test_named_agents_take_part_once_with_the_ego_first(frame):
    first, second, third = frame.agents
    assert choose_agents(frame, second, f"{third}, {second}", 5) == [second, third]
    assert choose_agents(frame, second, "", 5) == [second]
    with pytest.raises(DatasetError, match="no agent 'nobody'"):
        choose_agents(frame, first, "nobody", 5)
    with pytest.raises(DatasetError, match="3 agents were chosen, the bundle fuses 2"):
        choose_agents(frame, first, f"{second},{third}", 2)


def test_the_command_writes_the_result_and_a_picture(tmp_path, bundles, scenario):
    out, picture = tmp_path / "out.json", tmp_path / "scene.png"
    ego = scenario.agents[1]
    result = run(
        "detect", "--scenario", scenario.folder, "--timestamp", scenario.timestamps[1],
        "--ego", ego, "--bundle", bundles["int8"], "--json", out, "--picture", picture,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["ego"] == ego
    assert report["timestamp"] == scenario.timestamps[1]
    assert set(report["bytes"]) == set(scenario.agents) == set(report["agents"])
    assert {"pillars", "encoder", "codebook", "pyramid", "warp", "head"} <= set(report["ms"])
    assert f"{len(report['objects'])} objects seen by 3 agents" in result.output
    classes = ModelBundle.load(bundles["int8"]).classes
    for item in report["objects"]:
        assert set(item) == {"class", "score", "center", "size", "yaw"}
        assert item["class"] in classes
        assert len(item["center"]) == len(item["size"]) == 3
    with Image.open(picture) as image:
        assert image.width > 1000


@pytest.mark.parametrize("suffix", [".bin", ".pcd"])
def test_a_single_cloud_is_an_ego_without_peers(tmp_path, bundles, scenario, suffix):
    points = np.random.default_rng(0).uniform(-20, 20, (500, 4)).astype(np.float32)
    path = tmp_path / f"sweep{suffix}"
    if suffix == ".bin":
        points.tofile(path)
    else:
        from pypcd4 import PointCloud

        PointCloud.from_xyzi_points(points).save(path)
    out = tmp_path / "out.json"
    picture = tmp_path / "cloud.png"
    result = run("detect", "--cloud", path, "--bundle", bundles["int8"], "--json", out,
                 "--picture", picture)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["ego"] == "sweep"
    assert picture.is_file()


def test_clouds_of_other_types_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"type '\.ply' is unknown"):
        cloud_input(tmp_path / "a.ply")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "either --scenario or --cloud"),
        (["--scenario", "{folder}", "--cloud", "a.pcd"], 2, "either --scenario or --cloud"),
        (["--scenario", "{folder}/nowhere"], 1, "there is no such folder"),
        (["--scenario", "{folder}", "--timestamp", "7"], 1, "there is no timestamp '7'"),
        (["--scenario", "{folder}", "--ego", "77"], 1, "there is no agent '77'"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path, bundles, scenario, options, code, message):
    options = [option.format(folder=scenario.folder) for option in options]
    result = run("detect", *options, "--bundle", bundles["int8"], "--json", tmp_path / "out.json")
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out.json").exists()


def test_a_yaml_that_is_missing_is_named_by_the_command(tmp_path, bundles, scenario):
    import shutil

    copy = tmp_path / "scene"
    shutil.copytree(scenario.folder, copy)
    agent, stamp = scenario.agents[0], scenario.timestamps[0]
    (copy / agent / f"{stamp}.yaml").unlink()
    result = run("detect", "--scenario", copy, "--bundle", bundles["int8"],
                 "--json", tmp_path / "out.json")  # fmt: skip
    assert result.exit_code == 1
    assert f"{agent}/{stamp}.yaml: the labels of {stamp}.bin are missing" in result.output


def test_five_real_agents_and_a_real_sweep_run_through(tmp_path, bundles, shared_dir):
    """With random weights the boxes mean nothing; every shape and format is real."""
    for options in (
        ["--scenario", shared_dir / "data" / "opv2v_format_5agents"],
        ["--cloud", shared_dir / "data" / "vls128" / "1585897255376374245.pcd"],
    ):
        out = tmp_path / "out.json"
        result = run("detect", *options, "--bundle", bundles["int8"], "--json", out)
        assert result.exit_code == 0, result.output
        report = json.loads(out.read_text())
        assert len(report["bytes"]) == len(report["agents"])


def test_a_backend_that_cannot_run_is_one_sentence(bundles, scenario, tmp_path):
    result = run("detect", "--scenario", scenario.folder, "--bundle", bundles["int8"],
                 "--json", tmp_path / "x.json", "--backend", "fancy")  # fmt: skip
    assert result.exit_code == 1
    assert "error: backend: got 'fancy', allowed are auto" in result.output
    assert "Traceback" not in result.output
