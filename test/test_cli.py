# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: quick help, errors in one sentence, and its commands."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.markup import render

from quantv2x_ros import cli
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.environment.errors import is_input_error


def run_cli(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quantv2x_ros", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command(repository: Path) -> None:
    result = run_cli(repository, "--help")
    assert result.returncode == 0
    modules = {p.stem for p in (repository / "quantv2x_ros/commands").glob("[!_]*.py")}
    assert "simulate" in modules
    for name in modules:
        assert name.replace("_", "-") in result.stdout


@pytest.mark.parametrize("name", sorted(cli.command_modules()))
def test_help_of_a_command_loads_nothing_heavy(repository: Path, name: str) -> None:
    code = (
        "import sys; from quantv2x_ros.cli import app\n"
        f"app(['{name}', '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'openvino', 'rclpy', 'numba', 'matplotlib', 'numpy'}\n"
        "print('loaded:', *sorted(heavy.intersection(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("name", sorted(cli.command_modules()))
def test_help_of_an_option_is_shown_as_it_is_written(name: str) -> None:
    """The terminal's markup takes what stands in square brackets, such as a unit, for a style."""
    single = typer.Typer()
    single.command(name)(importlib.import_module(cli.command_modules()[name]).command)
    texts = [
        getattr(option, "help", None) or "" for option in typer.main.get_command(single).params
    ]
    assert [render(text).plain for text in texts] == texts


def test_every_command_is_in_one_group_of_the_help() -> None:
    grouped = [name for names in cli.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(cli.command_modules())


def test_the_help_shows_the_groups_in_their_order(repository: Path) -> None:
    text = run_cli(repository, "--help").stdout
    places = [text.index(f" {group} ") for group in cli.GROUPS]
    assert places == sorted(places)


def test_unknown_command_is_named(repository: Path) -> None:
    result = run_cli(repository, "simulat")
    assert result.returncode == 2
    assert "simulat" in result.stderr


def test_error_about_the_input_is_one_sentence(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arguments = ["simulate", "--out", str(tmp_path / "file"), "--frames", "1", "--agents", "1"]
    result = run_cli(repository, *arguments)
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert str(tmp_path / "file") in lines[0]
    assert "Traceback" in run_cli(repository, "--debug", *arguments).stderr


def test_faults_of_the_program_are_not_taken_for_input_errors() -> None:
    assert is_input_error(DatasetError("folder", "is empty", "add frames"))
    assert is_input_error(FileNotFoundError("no such file"))
    assert not is_input_error(ValueError("operands could not be broadcast together"))
    assert not is_input_error(KeyError("vehicle"))


def test_simulate_writes_the_v2x_real_layout(repository: Path, tmp_path: Path) -> None:
    options = {"out": tmp_path, "scenes": 1, "frames": 2, "agents": 2, "seed": 7}
    arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    result = run_cli(repository, "simulate", *arguments)
    assert result.returncode == 0, result.stderr
    agents = sorted((tmp_path / "test" / "scene_000007").iterdir())
    assert len(agents) == 2
    for agent in agents:
        assert len(list(agent.glob("*.bin"))) == len(list(agent.glob("*.yaml"))) == 2


def test_own_errors_of_what_cannot_run_are_told_from_faults() -> None:
    from quantv2x_ros.inference.engine.engine import EngineError

    assert is_input_error(EngineError("backend tensorrt cannot run"))
    assert not is_input_error(RuntimeError("a fault"))
