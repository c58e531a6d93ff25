# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation with a bundle whose ego uses its own feature as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.evaluation.detect import choose_agents, frame_input
from quantv2x_ros.evaluation.detector import detect_once
from quantv2x_ros.evaluation.evaluation import open_scenarios
from quantv2x_ros.evaluation.frame_state import ScenarioAgents
from quantv2x_ros.evaluation.playback import Playback
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending
from quantv2x_ros.inference.protocol import Detector


@pytest.fixture(scope="module", params=["int8", "fp32"])
def detector(request: pytest.FixtureRequest, random_bundle: Callable[..., Path]) -> Detector:
    return open_detector(random_bundle(seed=4, coded_ego=False), request.param, threads=1)


def test_the_ego_uses_what_it_kept_and_its_peers_what_they_sent(
    detector: Detector, scenario_folder: Path
) -> None:
    config = EvaluationConfig(agents=2)
    scenario = open_scenarios(scenario_folder, config)[0]
    frame = scenario.frame(scenario.timestamps[0])
    names = choose_agents(frame, None, "all", 2)
    given = frame_input(frame, names)
    sent = [detector.broadcast(cloud) for cloud in given.clouds.values()]
    assert all(item.own is not None for item in sent)
    ego = detector.own_pyramid(sent[0].own)
    peer = detector.pyramid(detector.decode(sent[1].payload), None, given.ego_to_agents[1])
    expected = detector.fuse([ego, peer], given.ego_to_agents).detections
    found, _, _ = detect_once(detector, given.clouds, given.ego_to_agents)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    coded = detector.pyramid(detector.decode(sent[0].payload), None, np.eye(4))
    other = detector.fuse([coded, peer], given.ego_to_agents).detections
    assert len(other) != len(expected) or not np.allclose(other.scores, expected.scores)


def test_evaluation_fuses_the_same(detector: Detector, scenario_folder: Path) -> None:
    whole = Link(sending=Sending(SendSettings(min_occupancy=0.0), radio="none"))
    config = EvaluationConfig(agents=2, link=whole)
    scenario = open_scenarios(scenario_folder, config)[0]
    frame = scenario.frame(scenario.timestamps[0])
    agents = ScenarioAgents(detector)
    playback = Playback(detector, detector.bundle, Senders(detector.bundle), config, 0)
    names = choose_agents(frame, None, "all", 2)
    state = agents.send(0, frame, names)
    view = playback.play(state)
    assert view is not None
    assert view.agents == 2
    ego, peer = (frame[name].pose for name in names)
    transforms = [transform_between(ego, pose) for pose in (ego, sent_pose(peer))]
    clouds = {name: frame[name].points for name in names}
    expected, _, _ = detect_once(detector, clouds, np.stack(transforms))
    np.testing.assert_allclose(view.detections.boxes, expected.boxes, atol=1e-5)
    alone = state.fuse_alone(names[1]).detections
    own = detector.own_pyramid(state.sent[names[1]].broadcast.own)
    np.testing.assert_array_equal(
        alone.boxes, detector.fuse([own], np.eye(4)[None]).detections.boxes
    )
