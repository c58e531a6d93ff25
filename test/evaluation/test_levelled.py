# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds are levelled alike by detect and evaluate; boxes and truth stay in the LiDAR's frame."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.detect import Input, as_scene, frame_input, look
from quantv2x_ros.evaluation.detector import EngineDetector, detect_once
from quantv2x_ros.evaluation.frame_state import ScenarioAgents
from quantv2x_ros.evaluation.playback import Playback
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending
from quantv2x_ros.training.cooperative_frame import CooperativeFrame
from quantv2x_ros.training.samples import SampleConfig, cooperative_frame


@pytest.fixture(scope="module")
def scenario(dataset: Path) -> Scenario:
    return Scenario.open(dataset / "test" / "scene_3")


@pytest.fixture(scope="module")
def detector(bundles: dict[str, Path]) -> EngineDetector:
    opened = open_detector(bundles["int8"], threads=1)
    assert isinstance(opened, EngineDetector)
    return opened


def given(scenario: Scenario, detector: EngineDetector, *, level: bool) -> Input:
    names = scenario.agents[:2]
    frame = scenario.frame(scenario.timestamps[0])
    return frame_input(AgentGrids(detector.bundle, level=level).lay(frame, names), names)


def test_evaluation_sees_what_detection_sees(scenario: Scenario, detector: EngineDetector) -> None:
    levelled = given(scenario, detector, level=True)
    assert levelled.level is not None
    agents = ScenarioAgents(detector, AgentGrids(detector.bundle))
    whole = Link(sending=Sending(SendSettings(min_occupancy=0.0), radio="none"))
    settings = EvaluationConfig(agents=2, link=whole)
    playback = Playback(detector, detector.bundle, Senders(detector.bundle), settings, 0)
    state = agents.send(0, scenario.frame(scenario.timestamps[0]), scenario.agents[:2])
    view = playback.play(state)
    assert view is not None
    seen = view.detections
    ego, peer = (state.sent[name].pose for name in scenario.agents[:2])
    transforms = np.stack([transform_between(ego, pose) for pose in (ego, sent_pose(peer))])
    np.testing.assert_allclose(transforms, levelled.ego_to_agents, atol=5e-3)
    found = look(detector, replace(levelled, ego_to_agents=transforms)).detections
    assert len(found) > 0
    np.testing.assert_allclose(seen.boxes, found.boxes, atol=1e-5)
    np.testing.assert_array_equal(seen.scores, found.scores)


def test_boxes_clouds_and_truth_are_in_the_lidar_s_frame(
    scenario: Scenario, detector: EngineDetector
) -> None:
    levelled, plain = (given(scenario, detector, level=level) for level in (True, False))
    assert plain.level is None
    assert levelled.truth_boxes is not None
    np.testing.assert_allclose(levelled.truth_boxes, plain.truth_boxes, atol=1e-4)
    classes = detector.bundle.classes
    scenes = [as_scene(item, look(detector, item), classes) for item in (levelled, plain)]
    # A peer's pose is rounded as a packet holds it: half of 5 mm, and of 0.01 degrees at its range.
    for name in scenes[0].clouds:
        np.testing.assert_allclose(scenes[0].clouds[name], scenes[1].clouds[name], atol=2e-2)
    found = look(detector, levelled).detections.boxes
    raw, _, _ = detect_once(detector, levelled.clouds, levelled.ego_to_agents)
    assert np.abs(found - raw.boxes).max() > 0.01
    assert levelled.level is not None
    np.testing.assert_allclose(transform_points(found, levelled.level), raw.boxes[:, :3], atol=1e-3)


def test_a_cloud_is_levelled_before_its_grid_is_turned(
    scenario: Scenario, detector: EngineDetector
) -> None:
    frame = scenario.frame(scenario.timestamps[0])
    unit = next(name for name in scenario.agents if frame[name].infrastructure)
    names = ["1", unit]
    laid = AgentGrids(detector.bundle).lay(frame, names)
    assert laid[unit].level is not None
    before = transform_points(frame[unit].points, frame[unit].pose)
    after = transform_points(laid[unit].points, laid[unit].pose)
    np.testing.assert_allclose(after, before, atol=1e-3)
    np.testing.assert_allclose(laid[unit].lidar_pose, frame[unit].pose, atol=1e-9)


def test_the_commands_leave_clouds_as_they_are_where_that_is_asked_for(
    tmp_path: Path, bundles: dict[str, Path], scenario: Scenario, detector: EngineDetector
) -> None:
    common = ["detect", "--scenario", str(scenario.folder), "--bundle", str(bundles["int8"])]
    common += ["--agents", scenario.agents[1], "--score-threshold", "0.3", "--threads", "1"]
    centres = []
    for number, options in enumerate(([], ["--no-level"])):
        out = tmp_path / f"{number}.json"
        result = CliRunner().invoke(app, [*common, *options, "--json", str(out)])
        assert result.exit_code == 0, result.output
        objects = json.loads(out.read_text())["objects"]
        assert min(item["score"] for item in objects) > 0.3
        centres.append([item["center"] for item in objects])
    assert centres[0] != centres[1]
    bundle = detector.bundle.with_score_threshold(0.3)
    low = EngineDetector(bundle, threads=1)
    names = scenario.agents[:2]
    frame = AgentGrids(bundle, level=False).lay(scenario.frame(scenario.timestamps[0]), names)
    expected = look(low, frame_input(frame, names)).detections.boxes[:, :3]
    np.testing.assert_allclose(centres[1], expected, atol=1e-4)


def test_training_can_level_clouds_and_labels_alike(
    scenario: Scenario, detector: EngineDetector
) -> None:
    frame, names = scenario.frame(scenario.timestamps[0]), scenario.agents[:2]
    grid = detector.bundle.grid
    plain = cooperative_frame(frame, names, SampleConfig(grid))
    levelled = cooperative_frame(frame, names, SampleConfig(grid, level=True))
    as_they_are = CooperativeFrame.from_frame(frame, names)
    np.testing.assert_array_equal(plain.boxes, as_they_are.boxes)
    level = AgentGrids(detector.bundle, turn=False).lay(frame, names)[names[0]].level
    assert level is not None
    points = transform_points(plain.agents[0].points, level)
    np.testing.assert_allclose(levelled.agents[0].points[:, :3], points, atol=1e-3)
    boxes = transform_points(plain.boxes, level)
    np.testing.assert_allclose(levelled.boxes[:, :3], boxes, atol=1e-3)
    own = transform_points(plain.agents[0].boxes, level)
    np.testing.assert_allclose(levelled.agents[0].boxes[:, :3], own, atol=1e-3)
