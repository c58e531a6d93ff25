# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replay of a vehicle's own log: its sweeps, and the indices that it heard."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.serialization import deserialize_message

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.data.recording import RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.index_recorder import IndexRecorder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.replay.bag_playlist import BagPlaylist
from quantv2x_ros.results.kinds import KINDS
from test.nodes.packet_messages import heard

TYPES = {"/v2x/bev_indices": BevIndices, "/v2x/codebook": Codebook}


@pytest.fixture(scope="module")
def bag(scenario_folder, bundle_folder, tmp_path_factory):
    """Sweeps and indices of two agents."""
    path = tmp_path_factory.mktemp("heard") / "bag"
    recorder = IndexRecorder(ModelBundle.load(bundle_folder), ["1", "2"], threads=1)
    scenario = Scenario.open(scenario_folder)
    record_scenario(scenario, path, RecordOptions(agents=("1", "2")), supplement=recorder)
    return path


def station_of(event):
    """The station that a message of indices, or an announcement, is of."""
    message = deserialize_message(event.message, TYPES[event.topic])
    return heard(message).station_id if isinstance(message, BevIndices) else message.station_id


def test_others_are_heard_and_the_ego_is_not(bag):
    events = list(BagPlaylist(bag, ["agent_1"], unheard=[1]).events(0))
    assert {event.topic for event in events} >= {"points", "pose", *TYPES}
    stations = {(event.topic, station_of(event)) for event in events if event.topic in TYPES}
    assert stations == {("/v2x/bev_indices", 2), ("/v2x/codebook", 2)}
    silent = BagPlaylist(bag, ["agent_1"])
    assert not {event.topic for event in silent.events(0)} & set(TYPES)


def test_a_bag_of_which_nothing_was_heard_is_refused(scenario_folder, tmp_path):
    record_scenario(Scenario.open(scenario_folder), tmp_path / "bag")
    with pytest.raises(ValueError, match="has no /v2x/bev_indices"):
        BagPlaylist(tmp_path / "bag", ["agent_1"], unheard=[1])


def benchmark_nodes(bundle_folder, scenario_folder, tmp_path, *options):
    out = tmp_path / "result.json"
    command = [sys.executable, "-m", "quantv2x_ros", "benchmark-nodes", "--json", str(out)]
    command += ["--bundle", str(bundle_folder), "--scenario", str(scenario_folder)]
    command += ["--threads", "1", "--rate", "0.3", *options]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=600)
    result = json.loads(out.read_text())
    assert str(bundle_folder) not in result["provenance"]["command"]
    assert f"--bundle {bundle_folder.name}" in result["provenance"]["command"]
    assert len(KINDS["nodes"].make({"": [result]}, {}).splitlines()) == 3
    return result["runs"][0]


def test_the_benchmark_of_an_encoder_alone_sees_sweeps_and_indices(
    bundle_folder, scenario_folder, tmp_path
):
    options = ("--encoder-only", "--seconds", "7")
    found = benchmark_nodes(bundle_folder, scenario_folder, tmp_path, *options)
    assert 2 <= found["sent"] <= found["sweeps"]
    assert 0.0 < found["cloud_to_indices_ms"]["p50"] <= found["cloud_to_indices_ms"]["p99"]
    assert "fused" not in found


def test_the_benchmark_of_nodes_sees_sweeps_indices_and_fused_boxes(
    bundle_folder, scenario_folder, tmp_path
):
    found = benchmark_nodes(bundle_folder, scenario_folder, tmp_path, "--seconds", "12")
    assert found["input_hz"] == pytest.approx(3.0)
    assert 2 <= found["fused"] <= found["sweeps"]
    assert found["fused_with_peers"] > 0
    for name in ("cloud_to_indices_ms", "inputs_to_objects_ms", "cloud_to_objects_ms"):
        assert 0.0 <= found[name]["p50"] <= found[name]["p99"], name
