# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Dockerfiles, as far as they can be checked without building them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(params=["Dockerfile", "Dockerfile.jetson"])
def dockerfile(request: pytest.FixtureRequest, repository: Path) -> Path:
    return repository / "docker" / str(request.param)


def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (its wheel is for x86-64)")
    result = subprocess.run([hadolint, str(dockerfile)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_it_copies_is_there(dockerfile: Path, repository: Path) -> None:
    sources = re.findall(r"^COPY (\S+) ", dockerfile.read_text(), re.MULTILINE)
    assert {".", "requirements", "docker/entrypoint.sh"} <= set(sources)
    for source in sources:
        assert (repository / source).exists(), source
    named = re.findall(r"requirements/\w+\.txt", dockerfile.read_text())
    assert named
    for name in named:
        assert (repository / name).is_file(), name


def test_its_entry_point_is_a_valid_executable_script(repository: Path) -> None:
    script = repository / "docker/entrypoint.sh"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_the_image_for_jetson_installs_the_ros_packages_that_the_package_needs(
    repository: Path,
) -> None:
    text = (repository / "docker/Dockerfile.jetson").read_text()
    # these come with ros-base
    given = {"rclpy", "rcl_interfaces", "builtin_interfaces", "std_msgs", "sensor_msgs"}
    given |= {"rosgraph_msgs", "quantv2x_msgs", "launch", "launch_ros", "ros2launch"}
    given |= {"ament_index_python", "geometry_msgs", "rosidl_default_runtime"}
    depends = re.findall(r"<(?:exec_)?depend>([\w_]+)</", (repository / "package.xml").read_text())
    needed = {name for name in depends if name.endswith("_msgs")} - given
    for name in needed:
        assert f"ros-humble-{name.replace('_', '-')}" in text, name
