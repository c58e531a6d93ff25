# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Offline, roadside units lay their grids along the roads as their encoders do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.evaluation.agent_grids import RoadsideGrids
from quantv2x_ros.evaluation.evaluation import Evaluation
from quantv2x_ros.evaluation.frame_state import ScenarioAgents
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.model.bundle import ModelBundle

AGENTS = ["1", "2", "-1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vehicle road with a unit that looks across it."""
    folder = tmp_path_factory.mktemp("road") / "scene"
    write_scenario(folder, seed=4, frames=1, agents=3, layout="road")
    return folder


@pytest.fixture
def frame(folder: Path) -> Frame:
    return Scenario.open(folder).frame("000000")


@pytest.fixture
def bundle(long_bundle_folder: Path) -> ModelBundle:
    return ModelBundle.load(long_bundle_folder)


def test_roadside_units_turn_as_grid_turn_says_and_vehicles_do_not(
    frame: Frame, bundle: ModelBundle
) -> None:
    turned = RoadsideGrids(bundle.grid, bundle.detection).turn(frame, AGENTS)
    listeners = [frame["1"].pose, frame["2"].pose]
    expected = GridTurn(bundle.grid, bundle.detection).towards(frame["-1"].pose, listeners)
    assert turned["-1"].turn == expected != 0.0
    assert turned["1"] is frame["1"]
    assert turned["2"] is frame["2"]


def test_an_ego_stays_as_its_sensor_lies(frame: Frame, bundle: ModelBundle) -> None:
    turned = RoadsideGrids(bundle.grid, bundle.detection).turn(frame, ["-1", "1", "2"])
    assert turned["-1"].turn == 0.0


@pytest.mark.parametrize("turns", [True, False])
def test_an_evaluation_turns_them_unless_told_otherwise(
    folder: Path, bundle: ModelBundle, turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    send = ScenarioAgents.send

    def remember(self: ScenarioAgents, *given: object) -> object:
        state = send(self, *given)  # type: ignore[arg-type]
        sent.append(state)
        return state

    monkeypatch.setattr(ScenarioAgents, "send", remember)
    evaluation = Evaluation(
        open_detector(bundle.folder, "int8", threads=1),
        EvaluationConfig(turn_grids=turns, level=False),
    )
    scenario = Scenario.open(folder)
    evaluation.run([scenario])
    (state,) = sent
    original = scenario.frame("000000")["-1"].pose
    assert np.allclose(state.sent["-1"].pose, original) != turns
    assert evaluation.result()["turn_grids"] is turns
