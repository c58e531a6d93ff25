# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a machine is found, and a remedy given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.doctor import machine
from quantv2x_ros.doctor.findings import ERROR, OK, WARNING, Finding, FindingError
from quantv2x_ros.doctor.machine import ClockState, clock_state
from quantv2x_ros.environment.resources import shared_folder


@pytest.fixture
def jazzy(tmp_path):
    """The environment of a ROS installation with Fast DDS 2."""
    return {"LD_LIBRARY_PATH": middleware_that_needs("libfastrtps.so.2.14", tmp_path / "jazzy")}


@pytest.fixture
def kilted(tmp_path):
    """The environment of a ROS installation with Fast DDS 3."""
    return {"LD_LIBRARY_PATH": middleware_that_needs("libfastdds.so.3.2", tmp_path / "kilted")}


def middleware_that_needs(library, folder):
    folder.mkdir()
    (folder / "librmw_fastrtps_shared_cpp.so").write_bytes(b"ELF\0" + library.encode() + b"\0")
    return str(folder)


NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


def test_the_committed_profile_passes_large_clouds_and_none_does_not(kilted, jazzy):
    profile = str(shared_folder("config") / "fastdds_large_clouds.xml")
    assert machine.large_clouds({**kilted, NEW: profile}).level == OK
    assert machine.large_clouds({**jazzy, OLD: profile}).level == OK
    assert machine.large_clouds({**jazzy, OLD: profile, NEW: profile}).level == OK
    without = machine.large_clouds(jazzy)
    assert without.level == WARNING
    assert f"export {OLD}=" in without.remedy
    assert "fastdds_large_clouds.xml" in without.remedy
    assert machine.large_clouds({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).level == OK


def test_a_variable_that_this_fast_dds_does_not_read_is_named(kilted, jazzy):
    profile = str(shared_folder("config") / "fastdds_large_clouds.xml")
    unread = machine.large_clouds({**jazzy, NEW: profile})
    assert unread.level == WARNING
    assert f"{NEW} is set, which it does not read" in unread.text
    both = machine.large_clouds({**kilted, NEW: profile, OLD: profile})
    assert (both.level, both.remedy) == (WARNING, f"unset {OLD}")


def test_a_profile_with_a_small_segment_or_none_at_all_is_named(tmp_path, kilted):
    profile = tmp_path / "small.xml"
    profile.write_text("<dds><segment_size>524288</segment_size></dds>")
    found = machine.large_clouds({**kilted, NEW: str(profile)})
    assert (found.level, "524288" in found.text) == (WARNING, True)
    gone = machine.large_clouds({**kilted, NEW: str(tmp_path / "no.xml")})
    assert gone.level == ERROR


@pytest.mark.parametrize(("limit", "level"), [("212992\n", WARNING), ("8388608\n", OK)])
def test_small_socket_buffers_are_a_warning(tmp_path, limit, level):
    path = tmp_path / "rmem_max"
    path.write_text(limit)
    found = machine.socket_buffers(path)
    assert found.level == level
    assert ("sysctl -w net.core.rmem_max=" in found.remedy) == (level == WARNING)


def test_a_log_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    for name in ("ROS_LOG_DIR", "ROS_HOME", "HOME"):
        assert machine.logs({name: str(tmp_path / "file" / "x")}).level == ERROR
        assert machine.logs({name: str(tmp_path / "x")}).level == OK


@pytest.mark.parametrize(("left", "level"), [(500_000, WARNING), (8_000_000, OK)])
def test_little_memory_is_a_warning(tmp_path, left, level):
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal:       16000000 kB\nMemAvailable:   {left} kB\n")
    assert machine.memory(path).level == level


def test_a_damaged_bundle_is_an_error_and_a_whole_one_is_named(bundle_folder, tmp_path):
    assert machine.model(str(bundle_folder)).level == OK
    copy = tmp_path / "copy"
    shutil.copytree(bundle_folder, copy)
    with (copy / "pyramid.onnx").open("ab") as file:
        file.write(b"x")
    found = machine.model(str(copy))
    assert found.level == ERROR
    assert "pyramid.onnx" in found.text


def test_a_folder_without_shared_memory_is_an_error(tmp_path):
    assert machine.shared_memory(tmp_path / "shm").level == ERROR


@pytest.mark.parametrize(
    ("state", "level"),
    [(None, WARNING), (ClockState(False, 16000.0), WARNING), (ClockState(True, 0.4), OK)],
)
def test_a_clock_that_nobody_keeps_is_a_warning(monkeypatch, state, level):
    monkeypatch.setattr(machine, "clock_state", lambda: state)
    assert machine.clock().level == level


def test_the_kernel_tells_of_its_clock():
    if sys.platform != "linux":
        pytest.skip("adjtimex is Linux's")
    state = clock_state()
    assert state is None or 0.0 <= state.max_error_ms < 1e7


def test_no_trouble_without_a_remedy():
    with pytest.raises(FindingError, match="clock: a remedy"):
        Finding(WARNING, "clock", "wrong")


def test_the_command_writes_its_findings_and_fails_on_errors(bundle_folder, tmp_path, repository):
    out = tmp_path / "doctor.json"
    command = [sys.executable, "-m", "quantv2x_ros", "doctor", "--json", str(out), "--bundle"]
    result = subprocess.run(
        [*command, "/no/such/bundle"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result.stdout + result.stderr
    found = json.loads(out.read_text())
    errors = [item for item in found["findings"] if item["level"] == "error"]
    assert len(errors) == found["errors"]
    assert "bundle" in {item["subject"] for item in errors}
    assert all(item["remedy"] for item in found["findings"] if item["level"] != "ok")


def test_a_package_and_a_home_that_cannot_be_written_are_a_warning(
    bundle_folder, tmp_path, repository
):
    copy = tmp_path / "quantv2x_ros"
    shutil.copytree(repository / "quantv2x_ros", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()  # a file in its place keeps even root from writing
    (tmp_path / "home").touch()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path),
    }
    environment.pop("XDG_CACHE_HOME", None)
    result = subprocess.run(
        [sys.executable, "-m", "quantv2x_ros", "doctor", "--bundle", str(bundle_folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
    assert f"{tmp_path}/home/.cache/quantv2x_ros cannot be written" in result.stdout
    assert f"kept in {tmp_path}/quantv2x_ros-" in result.stdout
    assert "set XDG_CACHE_HOME to a folder that can be written" in result.stdout


def test_help_names_all_three():
    result = CliRunner().invoke(app, ["doctor", "--help"], env={"COLUMNS": "200"})
    assert all(option in result.output for option in ("--graph", "--data", "--bundle"))
