# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What keeps a node from starting is said in one sentence, and its exit code is not 0."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")


def start(*arguments, **environment):
    """Run a viewer that is to end at once; returns what it complains of."""
    result = subprocess.run(
        [sys.executable, "-m", "quantv2x_ros.nodes", "viewer", "--ros-args", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "cannot start: " in line]
    return line


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("viewer:\n  ros__parameters:\n   port: [1,\n", "near line 3"),
        ("viewer:\n  ros__parameters:\n    peer_points: [1, two]\n", "Sequence should be of same"),
        ("\x00", "Couldn't parse params file"),
    ],
)
def test_a_malformed_parameter_file(tmp_path, text, complaint):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    said = start("--params-file", str(path))
    assert all(part in said for part in (str(path), complaint, "config/ has examples"))
    assert "parser.c" not in said, "where in rcl's sources is nothing to a user"


def test_a_parameter_file_that_is_not_there():
    assert "/nowhere.yaml" in start("--params-file", "/nowhere.yaml")


def test_a_log_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    said = start(ROS_LOG_DIR=str(tmp_path / "file" / "log"))
    assert str(tmp_path / "file" / "log") in said
    assert "set ROS_LOG_DIR to a folder that can be written" in said


def test_ros_arguments_that_there_are_not():
    assert "unknown ROS arguments ['--frobnicate']" in start("--frobnicate")
    assert "loud" in start("--log-level", "loud")
    assert "ROS_DOMAIN_ID" in start(ROS_DOMAIN_ID="seven")


@pytest.mark.parametrize("number", [2**32, 2**63, 2**64, -(2**70)])
def test_a_number_beyond_what_is_allowed_also_beyond_64_bits(number):
    said = start("-p", f"port:={number}")
    assert "parameter port of node /viewer" in said
    assert "allowed: 0 to 65535" in said
