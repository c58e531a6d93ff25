# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is replayed, and whose sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import v2x_from_matrix
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.recording import record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import write_agent_frame
from quantv2x_ros.graph.replay_source import ReplaySource, ReplaySourceError


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenario")
    for agent in ("1", "2", "-1"):
        for stamp in ("000000", "000001"):
            write_agent_frame(
                folder / agent,
                stamp,
                np.ones((5, 4), np.float32),
                lidar_pose=v2x_from_matrix(np.eye(4)),
                objects=[],
                infrastructure=agent.startswith("-"),
                speed=0.0,
            )
    return folder


@pytest.fixture(scope="module")
def bag(scenario, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "scene"
    record_scenario(Scenario.open(scenario), path)
    return path


@pytest.mark.parametrize(
    ("agents", "expected"),
    [
        ("all", ("1", "2", "-1")),
        ("", ("1", "2", "-1")),
        ("2", ("1", "2")),
        ("2,", ("2",)),
        ("-1, 1", ("-1", "1")),
    ],
)
def test_agents_are_all_a_number_or_names(scenario, agents, expected):
    assert ReplaySource.find(str(scenario), agents).agents == expected


@pytest.mark.parametrize("agents", ["4", "7,", "1,1", "1,9", "0", "first"])
def test_agents_that_are_not_there_are_refused_with_those_that_are(scenario, agents):
    with pytest.raises(ReplaySourceError, match="1, 2, -1"):
        ReplaySource.find(str(scenario), agents)


def test_the_ego_has_the_empty_namespace_and_peers_their_own(scenario):
    source = ReplaySource.find(str(scenario), "all")
    assert [source.namespace(agent) for agent in source.agents] == ["", "agent_2", "agent_m1"]


def test_a_bag_has_the_same_agents_and_stations_as_the_scenario_in_it(scenario, bag):
    recorded, original = ReplaySource.find(str(bag)), ReplaySource.find(str(scenario))
    assert recorded.is_bag
    assert recorded.agents == ("agent_1", "agent_2", "agent_m1")
    assert recorded.namespace("agent_2") == "agent_2"
    stations = [recorded.station(agent) for agent in recorded.agents]
    assert stations == [original.station(agent) for agent in original.agents]


def test_a_single_file_of_a_bag_will_do(bag):
    (file,) = bag.glob("*.mcap")
    assert ReplaySource.find(str(file)).agents == ("agent_1", "agent_2", "agent_m1")


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no agents"):
        ReplaySource.find(str(tmp_path))


def test_a_path_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="/nowhere"):
        ReplaySource.find("/nowhere")
