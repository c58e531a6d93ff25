# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS is given the one variable that it reads, and large clouds pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantv2x_ros.environment.middleware import fast_dds_version, middleware_environment
from quantv2x_ros.environment.resources import shared_folder
from quantv2x_ros.graph.processes import node_environment

NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
#: Two nodes, the second of which gets a best-effort cloud of 2 MB from the first.
_TWO_NODES = """
import array, sys, time
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

rclpy.init()
node = rclpy.create_node(sys.argv[1])
profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
end = time.monotonic() + 60
if sys.argv[1] == "driver":
    publisher = node.create_publisher(PointCloud2, "points", profile)
    message = PointCloud2(data=array.array("B", bytes(2_000_000)))
    while time.monotonic() < end:
        publisher.publish(message)
        rclpy.spin_once(node, timeout_sec=0.1)
else:
    sizes = []
    node.create_subscription(PointCloud2, "points", lambda m: sizes.append(len(m.data)), profile)
    while len(sizes) < 3 and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    print("got", sizes)
"""


def installation(folder: Path, needed: str) -> Path:
    """A prefix whose middleware library needs another one."""
    library = folder / "lib" / "librmw_fastrtps_shared_cpp.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF\0libfastcdr.so.2\0" + needed.encode() + b"\0")
    return folder


def shared_segments(process: int) -> list[int]:
    """Sizes of the shared memory of a process's Fast DDS, bytes (Linux)."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    names = {line.split()[-1] for line in lines if "/dev/shm/fast" in line}
    return [Path(name).stat().st_size for name in names if Path(name).exists()]


@pytest.mark.parametrize(
    ("needed", "version", "variable"),
    [
        ("libfastrtps.so.2.6", 2, OLD),
        ("libfastrtps.so.2.14", 2, OLD),
        ("libfastdds.so.3.2", 3, NEW),
        ("libfastdds.so.4.0", 4, NEW),
    ],
)
def test_the_installed_library_tells_which_variable_is_read(tmp_path, needed, version, variable):
    prefix = installation(tmp_path, needed)
    environment = {"AMENT_PREFIX_PATH": f"/nowhere:{prefix}", "ROS_DISTRO": "humble"}
    assert fast_dds_version(environment) == version
    profile = str(shared_folder("config") / "fastdds_large_clouds.xml")
    assert middleware_environment(environment) == {variable: profile}


def test_what_the_loader_takes_comes_first(tmp_path):
    old = installation(tmp_path / "old", "libfastrtps.so.2.14")
    new = installation(tmp_path / "new", "libfastdds.so.3.2")
    assert fast_dds_version({"AMENT_PREFIX_PATH": f"{old}:{new}"}) == 2
    assert (
        fast_dds_version({"AMENT_PREFIX_PATH": str(old), "LD_LIBRARY_PATH": str(new / "lib")}) == 3
    )


@pytest.mark.parametrize(
    ("distribution", "variables"),
    [("humble", {OLD}), ("jazzy", {OLD}), ("kilted", {NEW}), ("rolling", {NEW}), ("", {NEW, OLD})],
)
def test_without_the_library_the_distribution_tells_and_else_both_are_set(
    monkeypatch, distribution, variables
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert middleware_environment({"ROS_DISTRO": distribution}).keys() == variables


def test_another_middleware_needs_none():
    assert middleware_environment({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}) == {}


def test_nodes_of_the_graph_get_it_unless_the_user_has_set_it(tmp_path):
    prefix = installation(tmp_path, "libfastrtps.so.2.14")
    environment = node_environment({"AMENT_PREFIX_PATH": str(prefix)})
    assert environment[OLD].endswith("fastdds_large_clouds.xml")
    assert NEW not in environment
    kept = node_environment({"AMENT_PREFIX_PATH": str(prefix), OLD: "/my.xml"})
    assert kept[OLD] == "/my.xml"


def test_a_large_cloud_passes_between_two_nodes_and_none_complains_of_a_variable():
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    if sys.platform != "linux":
        pytest.skip("shared memory is looked at by /proc")
    environment = node_environment(
        {name: value for name, value in os.environ.items() if name not in (NEW, OLD)}
    )
    command = [sys.executable, "-c", _TWO_NODES]
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    driver = subprocess.Popen([*command, "driver"], text=True, **options)
    try:
        heard = subprocess.run([*command, "listener"], text=True, timeout=600, **options)
        segments = shared_segments(driver.pid)
    finally:
        driver.kill()
        said, _ = driver.communicate()
    assert "got [2000000, 2000000, 2000000]" in heard.stdout
    assert "PROFILES_FILE" not in heard.stdout + said
    assert max(segments) > 2**25, "the profile is in force: its segment has 32 MiB"
