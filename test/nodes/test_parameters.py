# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that were given, but that no node has."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.node import Node
from rclpy.parameter import Parameter

from quantv2x_ros.nodes.parameters import ParameterError, declarations, declare, refuse_unknown


def node(ros, name, declared, **given):
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    made = ros.add(Node(name, parameter_overrides=overrides))
    for parameter in declared:
        declare(made, parameter, 1.0, "Something [s].", low=0.0, high=10.0)
    return made


def test_a_misspelt_parameter_is_refused_with_what_was_meant(ros):
    fusion = node(ros, "fusion", ["peer_timeout", "peer_wait"], peer_timeuot=0.2)
    with pytest.raises(
        ParameterError, match=r"/fusion has no parameter peer_timeuot; did you mean peer_timeout"
    ):
        refuse_unknown([fusion])


def test_what_resembles_nothing_is_refused_with_what_there_is(ros):
    fusion = node(ros, "fusion", ["peer_wait"], zebra=1.0)
    with pytest.raises(ParameterError, match="no parameter zebra; it has peer_wait"):
        refuse_unknown([fusion])


def test_a_parameter_of_another_node_in_the_process_is_no_mistake(ros):
    encoder = node(ros, "encoder", ["pose_timeout"], pose_timeout=0.2, peer_wait=0.1)
    fusion = node(ros, "fusion", ["peer_wait"], pose_timeout=0.2, peer_wait=0.1, use_sim_time=False)
    refuse_unknown([encoder, fusion])


def test_declarations_tell_what_the_documentation_shows(ros):
    (declared,) = declarations(node(ros, "fusion", ["peer_wait"], peer_wait=0.5))
    assert (declared.name, declared.default, declared.allowed) == ("peer_wait", 1.0, "0 to 10")
    assert declared.read_only


def test_a_process_with_a_misspelt_parameter_ends_at_once_and_says_why():
    command = [sys.executable, "-m", "quantv2x_ros.nodes", "viewer", "--ros-args", "-p", "port:=0"]
    result = subprocess.run(
        [*command, "-p", "refresh_rat:=2.0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert "cannot start: node /viewer has no parameter refresh_rat" in result.stderr
    assert "refresh_rate" in result.stderr
