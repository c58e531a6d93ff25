# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph as processes of its own: real middleware between them, a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from lifecycle_msgs.msg import State, Transition

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import (
    ProcessGraph,
    ProcessGraphError,
    command_of,
    node_environment,
)
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.nodes.common.conversions import nanoseconds


@pytest.fixture(scope="module")
def graph(bundle_folder, scenario_folder):
    """Makes the graph of an ego and one peer that plays the test's scenario."""

    def make(**values):
        settings = GraphSettings(
            bundle=str(bundle_folder),
            replay=str(scenario_folder),
            agents="1,2",
            threads=1,
            **{"pace": "results", **values},
        )
        return cooperative_graph(settings, ReplaySource.find(settings.replay, settings.agents))

    return make


def boxes_of(message):
    return [
        (item.class_id, item.score, item.pose.position.x, item.pose.position.y, item.size.x)
        for item in message.objects
    ]


PATIENT = """
/**/fusion:
  ros__parameters:
    peer_wait: 3.0
    qos_overrides: {/v2x/bev_indices: {subscription: {reliability: reliable, depth: 50}}}
/encoder:
  ros__parameters:
    pose_timeout: 5.0
    qos_overrides: {/points: {subscription: {reliability: reliable, depth: 10}}}
/agent_2/encoder:
  ros__parameters:
    pose_timeout: 5.0
    qos_overrides: {/agent_2/points: {subscription: {reliability: reliable, depth: 10}}}
"""


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """Parameters that lose nothing even on a busy machine."""
    path = tmp_path_factory.mktemp("patient") / "patient.yaml"
    path.write_text(PATIENT)
    return str(path)


def play(ros, nodes, log, params_file):
    """Play a graph to its end; return the fused frames by stamp and the sweeps heard."""
    objects = ros.collect(DetectedObject3DArray, "/objects", 50)
    indices = ros.collect_packets(qos=50)
    replay = [node for node in nodes if node.executable == "replay"]
    others = [node for node in nodes if node.executable != "replay"]
    with ProcessGraph(others, log_file=log, params_files=[params_file]) as processes:
        # on a busy machine the first of them would be gone before this test is known to hear them
        topics = {"/objects": 1, "/v2x/bev_indices": 2}
        ros.spin_until(
            lambda: all(ros.node.count_publishers(t) >= n for t, n in topics.items()), 600
        )
        ros.spin_for(1.0)
        with ProcessGraph(replay, log_file=Path(f"{log}.replay")) as player:
            ros.spin_until(player.is_over, timeout=600.0)
            assert player.stop() == [0]
        assert processes.stop() == [0] * len(others), log.read_text()
    return {nanoseconds(message.header.stamp): message for message in objects}, indices


@pytest.fixture(scope="module")
def played(make_ros, graph, patient, tmp_path_factory):
    """Fused frames, sweeps heard and log of one run of the scene."""
    log = tmp_path_factory.mktemp("played") / "log"
    ros = make_ros()
    try:
        return *play(ros, graph(), log, patient), log
    finally:
        ros.close()


def test_ego_and_peer_in_processes_fuse_every_sweep_and_end_cleanly(played):
    objects, indices, log = played
    assert len(objects) == 6, log.read_text()
    stations = [tuple(objects[stamp].contributing_stations) for stamp in sorted(objects)]
    assert set(stations[1:]) == {(1, 2)}, "at the first sweep the peer may not be known yet"
    assert all(message.objects for message in objects.values())
    assert {message.station_id for message in indices} == {1, 2}
    assert len({(message.station_id, message.sequence) for message in indices}) == 12


def test_the_same_scene_gives_the_same_boxes_again_and_from_its_bag(
    played, ros, bundle_folder, scenario_folder, patient, tmp_path
):
    from quantv2x_ros.data.recording import record_scenario
    from quantv2x_ros.data.scenario import Scenario

    first, _, _ = played
    bag = tmp_path / "bag"
    record_scenario(Scenario.open(scenario_folder), bag)
    settings = GraphSettings(
        bundle=str(bundle_folder),
        replay=str(bag),
        agents="agent_1,agent_2",
        pace="results",
        threads=1,
    )
    nodes = cooperative_graph(settings, ReplaySource.find(settings.replay, settings.agents))
    again, _ = play(ros, nodes, tmp_path / "again.log", patient)
    assert first.keys() == again.keys()
    for stamp in sorted(first)[1:]:  # at the first one the peer may not be known yet
        np.testing.assert_array_equal(boxes_of(first[stamp]), boxes_of(again[stamp]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_with_exit_code_0(ros, graph, tmp_path, number):
    objects = ros.collect(DetectedObject3DArray, "/objects", 50)
    log = tmp_path / "log"
    with ProcessGraph(graph(loop=True), log_file=log) as processes:
        ros.spin_until(lambda: objects, timeout=600.0)
        for process in processes.processes:
            process.send_signal(number)
            process.send_signal(number)  # as launch and the terminal both do
        assert [process.wait(20) for process in processes.processes] == [0, 0, 0], log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("delay", [0.1, 0.6, 1.5])
def test_a_signal_during_the_start_ends_with_exit_code_0(graph, delay):
    command = command_of(graph()[0], "info")
    process = subprocess.Popen(
        command,
        env=node_environment(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    # The interpreter itself takes a moment until it can handle a signal at all.
    wait_for_handler(process.pid)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output.decode()


def wait_for_handler(pid):
    """Wait until a process catches SIGTERM, which Python does not do by itself."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    pytest.fail("the process never caught SIGTERM")


def test_a_node_that_cannot_start_ends_with_exit_code_1_and_says_why(graph, tmp_path):
    settings = graph()
    broken = type(settings[0])(
        **{**vars(settings[0]), "parameters": {"bundle": str(tmp_path), "station_id": 1}}
    )
    with ProcessGraph([broken], log_file=tmp_path / "log") as processes:
        assert processes.processes[0].wait(60) == 1
        with pytest.raises(ProcessGraphError, match=r"ego ended with exit code 1; see .*log"):
            processes.is_over()
    text = (tmp_path / "log").read_text()
    assert "cannot start: bundle" in text
    assert "manifest.yaml is missing" in text
    assert "Traceback" not in text


def test_a_replay_that_nobody_hears_ends_with_exit_code_1_and_says_why(scenario_folder):
    values = {"path": scenario_folder, "agents": "1,", "wait": 0.5}
    parameters = [part for item in values.items() for part in ("-p", "{}:={}".format(*item))]
    result = subprocess.run(
        [sys.executable, "-m", "quantv2x_ros.nodes", "replay", "--ros-args", *parameters],
        timeout=600,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "ended: after 0.5 s no node encoder listens to /points" in result.stderr
    assert "Traceback" not in result.stderr


def test_build_only_builds_the_engines_and_ends(ros, bundle_folder, tmp_path):
    parameters = ["-p", "build_only:=true", "-p", f"bundle:={bundle_folder}", "-p", "threads:=1"]
    result = subprocess.run(
        [sys.executable, "-m", "quantv2x_ros.nodes", "ego", "--ros-args", *parameters],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    names = {path.name.split("-")[0] for path in (tmp_path / "quantv2x_ros/engines").iterdir()}
    assert names == {"encoder", "pyramid", "head"}


def test_nodes_do_not_survive_a_killed_parent(graph, tmp_path):
    script = (
        "import sys, time\n"
        "from quantv2x_ros.graph.processes import ProcessGraph\n"
        "from quantv2x_ros.graph.graph import NodeDescription\n"
        "node = NodeDescription('quantv2x_ros', 'encoder', '/', {'bundle': sys.argv[1]})\n"
        "graph = ProcessGraph([node])\n"
        "print(graph.processes[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    folder = graph()[0].parameters["bundle"]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for_handler(child)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < end, f"process {child} is left"
        time.sleep(0.1)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def waiting_ego(graph, tmp_path):
    """A process of an ego that leaves its lifecycle to others, and its log."""
    ego = replace(graph()[0], parameters={**graph()[0].parameters, "autostart": False})
    with ProcessGraph([ego], log_file=tmp_path / "log") as processes:
        yield processes.processes[0], tmp_path / "log"


def test_a_process_waits_for_its_manager_and_ends_once_all_its_nodes_are_shut_down(
    manage, waiting_ego
):
    process, log = waiting_ego
    managers = [manage(name) for name in ("/fusion", "/encoder")]
    for manager in managers:
        assert manager.configure(), log.read_text()
        assert manager.activate(), log.read_text()
    assert managers[0].change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert managers[1].state == State.PRIMARY_STATE_ACTIVE
    assert managers[1].change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert process.wait(20) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
def test_a_signal_ends_a_process_in_any_state(manage, waiting_ego, state):
    process, log = waiting_ego
    managers = [manage(name) for name in ("/fusion", "/encoder")]
    if state == "inactive":
        assert all(manager.configure() for manager in managers), log.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
