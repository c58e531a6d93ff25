# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, started with the real `ros2 launch`."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed (it is not on PyPI)")
if shutil.which("ros2") is None:
    pytest.skip("ros2 launch is not installed (it is not on PyPI)", allow_module_level=True)

from quantv2x_ros.data.recording import RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.index_recorder import IndexRecorder
from quantv2x_ros.inference.model.bundle import ModelBundle

HAS_RVIZ = any(
    (Path(prefix) / "share/ament_index/resource_index/packages/rviz2").exists()
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
)


@pytest.fixture
def launch_file(repository: Path) -> Path:
    return repository / "launch" / "cooperative.launch.py"


@pytest.fixture
def launch(launch_file, bundle_folder, scenario_folder, tmp_path):
    """Starts the launch file on the test's scenario, in a process group of its own."""

    def start(**arguments):
        values = {
            "bundle": bundle_folder,
            "replay": scenario_folder,
            "agents": "1,2",
            "threads": 1,
            "rate": 0.3,
            **arguments,
        }
        return subprocess.Popen(
            ["ros2", "launch", str(launch_file), *(f"{k}:={v}" for k, v in values.items())],
            env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def test_every_argument_of_the_design_is_declared_and_described(launch_file):
    description = runpy.run_path(str(launch_file))["generate_launch_description"]()
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert arguments.keys() >= {
        "bundle",
        "backend",
        "replay",
        "params_file",
        "namespace",
        "use_sim_time",
        "rviz",
        "log_level",
    }
    assert all(len(argument.description) > 10 for argument in arguments.values())
    assert all(argument.default_value is not None for argument in arguments.values())


def test_it_plays_a_scene_to_its_end_and_ends_everything(launch):
    output, _ = (process := launch()).communicate(timeout=600)
    assert process.returncode == 0, output
    assert "played 6 sweeps of the ego" in output
    for name in ("ego-1", "encoder-2", "replay-3"):
        assert f"[{name}]: process has finished cleanly" in output, output


def test_another_launch_file_may_include_it_and_have_arguments_of_its_own(
    launch_file, bundle_folder, scenario_folder, tmp_path
):
    including = tmp_path / "mine.launch.py"
    including.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([\n"
        "        DeclareLaunchArgument('colour', default_value='red'),\n"
        f"        IncludeLaunchDescription({str(launch_file)!r}, launch_arguments=[\n"
        f"            ('bundle', {str(bundle_folder)!r}), ('replay', {str(scenario_folder)!r}),\n"
        "            ('agents', '1,'), ('rate', '3')]),\n"
        "    ])\n"
    )
    result = subprocess.run(
        ["ros2", "launch", str(including), "colour:=blue"],
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout
    assert "played 6 sweeps of the ego" in result.stdout + result.stderr


def test_ctrl_c_ends_it_cleanly(launch):
    process = launch(loop="true", namespace="car", use_sim_time="true")
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "car.fusion" in line and "heard of station 2" in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to launch and to every node
    rest, _ = process.communicate(timeout=300)
    output = "".join(seen) + rest
    assert process.returncode == 0, output
    assert output.count("process has finished cleanly") == 3, output
    assert "Traceback" not in output


def test_parameter_files_win_over_the_arguments_and_the_last_over_the_others(launch, tmp_path):
    first, last = tmp_path / "first.yaml", tmp_path / "last.yaml"
    text = "/**/replay:\n  ros__parameters:\n    rate: {}\n    {}\n"
    first.write_text(text.format(5.0, "truth: false"))
    last.write_text(text.format(7.5, "settle: 1.0"))
    output, _ = launch(params_file=f"{first},{last}").communicate(timeout=600)
    assert "at 7.5 x" in output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"backend": "abacus"}, "abacus"),
        ({"replay": "/nowhere"}, "/nowhere"),
        ({"agents": "1,9"}, "1, 2, -1"),
        ({"bundle": "no_such_bundle"}, "no_such_bundle"),
        ({"rate": "fast"}, "rate: got 'fast', allowed is a number"),
        ({"threads": "1.5"}, "threads: got '1.5', allowed is a whole number"),
        ({"params_file": "/nowhere.yaml"}, "/nowhere.yaml"),
        ({"points_topic": "/velodyne"}, "is a dataset, which has no topics"),
        ({"pose_source": "gps"}, "gps"),
        pytest.param(
            {"rviz": "true"},
            "package rviz2 is not installed, which brings rviz2",
            marks=pytest.mark.skipif(HAS_RVIZ, reason="rviz2 is installed"),
        ),
        ({"viewer_prot": "1"}, "no launch argument 'viewer_prot'; did you mean viewer_port"),
    ],
)
def test_wrong_arguments_end_the_launch_with_what_is_allowed(launch, arguments, text):
    process = launch(**arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert text in output
    assert "process started" not in output, "nothing is started before all arguments are checked"


def test_the_viewer_is_started_on_its_port_and_ends_with_the_rest(launch):
    output, _ = (process := launch(viewer="true", viewer_port=0)).communicate(timeout=600)
    assert process.returncode == 0, output
    assert "open http://127.0.0.1:" in output
    assert "[viewer-4]: process has finished cleanly" in output, output


def test_a_log_of_the_air_is_fused_without_encoders(
    launch, bundle_folder, scenario_folder, tmp_path
):
    bag = tmp_path / "air"
    recorder = IndexRecorder(ModelBundle.load(bundle_folder), ["1", "2"], threads=1)
    options = RecordOptions(agents=("1", "2"), clouds=False)
    record_scenario(Scenario.open(scenario_folder), bag, options, supplement=recorder)
    output, _ = (process := launch(replay=bag, agents="2,1")).communicate(timeout=600)
    assert process.returncode == 0, output
    for name in ("fusion-1", "replay-2"):
        assert f"[{name}]: process has finished cleanly" in output, output
    assert "heard of station 1" in output


def test_nodes_that_do_not_start_themselves_wait_for_a_manager(launch):
    process = launch(autostart="false")
    seen = []
    for line in process.stdout:
        seen.append(line)
        if all(
            f"set {name} configure" in "".join(seen) for name in ("/encoder", "/fusion", "/replay")
        ):
            break
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=300)
    output = "".join(seen) + rest
    assert process.returncode == 0, output
    assert "playing" not in output
    assert output.count("process has finished cleanly") == 3, output


def test_a_node_that_cannot_configure_ends_everything_and_is_named(launch, tmp_path):
    parameters = tmp_path / "my.yaml"
    parameters.write_text("/**/encoder:\n  ros__parameters:\n    sensor_mount: [1.0, 2.0]\n")
    output, _ = (process := launch(params_file=parameters)).communicate(timeout=600)
    assert "cannot start: mount: got [1.0, 2.0]" in output
    assert "process has died" in output
    assert "encoder in /agent_2 ended with exit code 1" in output
    assert process.returncode == 1, output
