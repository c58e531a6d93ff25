# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What README and docs tell to type is understood: commands, options, arguments, files."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest
import typer

from quantv2x_ros import cli

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
PROGRAM = re.compile(r"(?:^|\s)(?:\S*python3? -m quantv2x_ros|q) ")


def documented() -> list[tuple[str, str]]:
    """Every line of every block of shell code: its page, and the line without its comment."""
    lines = []
    for page in sorted(PAGES):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                command = re.sub(r"(^|\s)#.*", "", line).strip()
                if command:
                    lines += [(page.name, part.strip()) for part in command.split("&&")]
    return lines


def matching(pattern: str) -> list[tuple[str, str]]:
    found = [item for item in documented() if re.search(pattern, item[1])]
    assert found, f"no command is like {pattern}"
    return found


def words(command: str) -> list[str]:
    """A command's words; what stands for more (…, ...) and variables left out."""
    return [word for word in shlex.split(command) if word not in ("...", "…")]


def launch_arguments() -> set[str]:
    """The names that the launch file declares, read without `launch`."""
    tree = ast.parse((REPOSITORY / "launch" / "cooperative.launch.py").read_text(encoding="utf-8"))
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "DeclareLaunchArgument"
        and isinstance(node.args[0], ast.Constant)
    }


def executables() -> set[str]:
    text = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    return set(re.findall(r'"(\w+) = quantv2x_ros\.nodes', text))


@pytest.mark.parametrize(("page", "command"), matching(PROGRAM.pattern))
def test_the_program_understands_its_commands(page: str, command: str) -> None:
    name, *arguments = words(PROGRAM.split(command, maxsplit=1)[1])
    group = typer.main.get_command(cli.app)
    with group.make_context("quantv2x_ros", [name]) as context:
        found = group.get_command(context, name)
        assert found is not None, f"{page}: there is no command {name}"
        # raises where an option is unknown or has a value that it cannot have
        found.make_context(name, arguments, resilient_parsing="..." in command, parent=context)


@pytest.mark.parametrize(("page", "command"), matching(r"^ros2 launch "))
def test_launch_arguments_are_declared(page: str, command: str) -> None:
    _, _, package, file, *arguments = words(command)
    assert (package, file) == ("quantv2x_ros", "cooperative.launch.py")
    names = {argument.partition(":=")[0] for argument in arguments}
    assert names <= launch_arguments(), page


@pytest.mark.parametrize(("page", "command"), matching(r"^ros2 run quantv2x_ros "))
def test_nodes_and_their_parameter_files_are_there(page: str, command: str) -> None:
    _, _, _, executable, *arguments = words(command)
    assert executable in executables(), page
    for option, value in itertools.pairwise(arguments):
        if option == "--params-file":
            assert (REPOSITORY / value).is_file(), page


@pytest.mark.parametrize(("page", "command"), matching(r"^make "))
def test_make_has_its_targets(page: str, command: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), page


def test_files_of_the_repository_that_commands_name_are_there() -> None:
    missing = [
        f"{page}: {path}"
        for page, command in documented()
        for path in re.findall(
            r"(?<!\S)(?:src/quantv2x_ros/)?((?:config|requirements|docker)/\S+)", command
        )
        if not (REPOSITORY / path).exists()
    ]
    assert missing == []
