# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that were given, but that no node has."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.node import Node
from rclpy.parameter import Parameter

from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.common.unknown_parameters import refuse_unknown


def node(ros, name, declared, **given):
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    made = ros.add(Node(name, parameter_overrides=overrides))
    for parameter in declared:
        made.declare_parameter(parameter, 1.0)
    return made


def test_a_misspelt_parameter_is_refused_with_what_was_meant(ros):
    fusion = node(ros, "fusion", ["peer_timeout", "peer_wait"], peer_timeuot=0.2)
    with pytest.raises(
        ParameterError, match=r"/fusion has no parameter peer_timeuot; did you mean peer_timeout"
    ):
        refuse_unknown([fusion])


def test_what_resembles_nothing_is_refused_with_what_there_is(ros):
    fusion = node(ros, "fusion", ["peer_wait"], zebra=1.0)
    with pytest.raises(ParameterError, match=r"no parameter zebra; it has peer_wait$"):
        refuse_unknown([fusion])


def test_a_parameter_of_another_node_in_the_process_is_no_mistake(ros):
    encoder = node(ros, "encoder", ["pose_timeout"], pose_timeout=0.2, peer_wait=0.1)
    fusion = node(ros, "fusion", ["peer_wait"], pose_timeout=0.2, peer_wait=0.1, use_sim_time=False)
    refuse_unknown([encoder, fusion])


def test_a_process_with_a_misspelt_parameter_ends_at_once_and_says_why():
    command = [sys.executable, "-m", "quantv2x_ros.nodes", "viewer", "--ros-args", "-p", "port:=0"]
    result = subprocess.run(
        [*command, "-p", "refresh_rat:=2.0"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 1
    assert "cannot start: node /viewer has no parameter refresh_rat" in result.stderr
    assert "refresh_rate" in result.stderr


SHARED = """
/**:
  ros__parameters:
    use_sim_time: false
    port: 0
    peer_timeout: 0.3
    robot_description: <robot/>
    costmap: {resolution: 0.05}
    qos_overrides: {/scan: {subscription: {depth: 3}}}
{more}
"""


def run_viewer(tmp_path, text, *arguments):
    """Start a viewer with a parameter file; end it as soon as it runs, or return as it ends."""
    path = tmp_path / "shared.yaml"
    path.write_text(text)
    command = [sys.executable, "-m", "quantv2x_ros.nodes", "viewer", "--ros-args"]
    process = subprocess.Popen(
        [*command, "--params-file", str(path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "in a browser" in line:  # it is active, and the check comes next
            break
    try:
        process.wait(3.0)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=300)
    return process.returncode, "".join(seen) + rest


def test_a_shared_file_with_parameters_of_other_nodes_stops_no_node(tmp_path):
    code, said = run_viewer(tmp_path, SHARED.replace("{more}", ""))
    assert code == 0, said
    assert "WARN" not in said, "another node's parameters are nobody's mistake"


def test_a_misspelt_parameter_in_a_section_for_all_nodes_is_named(tmp_path):
    code, said = run_viewer(tmp_path, SHARED.replace("{more}", "    refresh_rat: 2.0"))
    assert code == 0, said
    assert "refresh_rat, given in a section for all nodes" in said
    assert said.count("did you mean refresh_rate?") == 1


@pytest.mark.parametrize("section", ["/**/viewer", "viewer", "/viewer", "/*/viewer"])
def test_a_misspelt_parameter_in_the_nodes_own_section_is_refused(tmp_path, section):
    more = f"{section}:\n  ros__parameters:\n    refresh_rat: 2.0"
    name = ("-r", "__ns:=/car") if "*/" in section else ()
    code, said = run_viewer(tmp_path, SHARED.replace("{more}", more), *name)
    assert code == 1, said
    assert "has no parameter refresh_rat; did you mean refresh_rate" in said


def test_one_that_the_command_line_gives_is_refused_though_a_shared_file_has_it_too(tmp_path):
    code, said = run_viewer(tmp_path, SHARED.replace("{more}", ""), "-p", "peer_timeout:=0.5")
    assert code == 1, said
    assert "has no parameter peer_timeout" in said
