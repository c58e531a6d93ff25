# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles with random weights: real engines, boxes without meaning."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundles(random_bundle) -> dict[str, Path]:
    """The same network as an INT8 and as an FP32 bundle.

    It is the light one: a frame of the published architecture takes eight times as long, and what
    an evaluation does with boxes does not depend on what finds them.
    """
    precisions = ("int8", "fp32")
    return {
        name: random_bundle(seed=1, precision=name, architecture="light") for name in precisions
    }


@pytest.fixture(scope="session")
def detector(bundles):
    """What detects with the INT8 bundle."""
    from quantv2x_ros.commands._detectors import open_detector

    return open_detector(bundles["int8"])


@pytest.fixture(scope="session")
def states(detector, dataset):
    """Three frames of a scene, encoded once."""
    from quantv2x_ros.data.scenario import Scenario
    from quantv2x_ros.evaluation.frame_state import ScenarioAgents, choose_agents
    from quantv2x_ros.evaluation.settings import EvaluationConfig

    scenario = Scenario.open(dataset / "test" / "scene_3")
    agents = ScenarioAgents(detector)
    settings = EvaluationConfig().resolved(3)
    return [
        agents.send(number, frame, choose_agents(frame, settings))
        for number, frame in enumerate(scenario.frames())
    ]
