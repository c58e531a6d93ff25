# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a graph starts is looked up before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantv2x_ros.graph.executables import require_installed
from quantv2x_ros.graph.graph import PACKAGE, NodeDescription
from quantv2x_ros.graph.processes import ProcessGraph, ProcessGraphError
from quantv2x_ros.graph.settings import GraphError

EGO = NodeDescription(PACKAGE, "ego", "/")
RVIZ = NodeDescription("rviz2", "rviz2", "/")


def install(prefix: Path, package: str, *executables: str) -> None:
    """Install a package as colcon does."""
    marker = prefix / "share/ament_index/resource_index/packages" / package
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    (prefix / "lib" / package).mkdir(parents=True, exist_ok=True)
    for name in executables:
        (prefix / "lib" / package / name).write_text("#!/bin/sh\n")
        (prefix / "lib" / package / name).chmod(0o755)


@pytest.fixture
def workspace(tmp_path):
    """An overlay with this package, on a ROS without RViz."""
    install(tmp_path / "overlay", PACKAGE, "ego", "encoder")
    install(tmp_path / "ros", "rclpy")
    return {"AMENT_PREFIX_PATH": f"{tmp_path}/overlay:{tmp_path}/ros", "ROS_DISTRO": "jazzy"}


def test_a_graph_that_is_installed_is_let_through(workspace, tmp_path):
    require_installed([EGO, NodeDescription(PACKAGE, "encoder", "/agent_2")], workspace)
    install(tmp_path / "ros", "rviz2", "rviz2")
    require_installed([EGO, RVIZ], workspace)


def test_a_package_that_is_not_installed_is_named_with_what_to_do(workspace):
    with pytest.raises(
        GraphError, match=r"package rviz2 is not installed.*2 folders.*apt: ros-jazzy-rviz2"
    ):
        require_installed([EGO, RVIZ], workspace)


def test_an_executable_that_is_not_there_or_cannot_be_run_is_named(workspace, tmp_path):
    fusion = NodeDescription(PACKAGE, "fusion", "/")
    for _ in range(2):
        with pytest.raises(GraphError, match=r"executable fusion.*overlay/lib.*build the"):
            require_installed([EGO, fusion], workspace)
        (tmp_path / "overlay/lib" / PACKAGE / "fusion").touch()  # which nobody may run


def test_without_a_sourced_workspace_that_is_said():
    with pytest.raises(GraphError, match="package quantv2x_ros is not installed"):
        require_installed([EGO], {})


def test_processes_are_this_packages_nodes_alone_and_none_is_started_else(tmp_path):
    log = tmp_path / "log"
    for stranger in (RVIZ, NodeDescription(PACKAGE, "egg", "/")):
        with pytest.raises(ProcessGraphError, match=f"{stranger.executable} of package"):
            ProcessGraph([EGO, stranger], log_file=log)
    assert not log.exists()
