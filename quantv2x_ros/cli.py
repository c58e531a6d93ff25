# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line, `python -m quantv2x_ros COMMAND`.

Each module of `quantv2x_ros.commands` is one command: its function `command` holds the options
and the help. Such a module imports what it needs for its work inside that function, so that
`--help` stays quick and no command needs another one's dependencies.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Annotated, Any

import typer
import typer.core

from quantv2x_ros import __version__, commands
from quantv2x_ros.environment.errors import in_words


def command_modules() -> dict[str, str]:
    """Lists the commands there are.

    Returns:
        Name on the command line → module, in alphabetical order.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return {
        name.replace("_", "-"): f"{commands.__name__}.{name}"
        for name in names
        if not name.startswith("_")
    }


#: Commands by what a person wants to do, in the order of the help.
GROUPS = {
    "Look": ("demo", "detect", "doctor"),
    "Data": ("simulate", "record"),
    "Train": ("train", "quantize", "export", "train-prior", "choose-thresholds"),
    "Measure": (
        "evaluate",
        "consistency",
        "benchmark",
        "benchmark-nodes",
        "soak",
        "flood",
        "results",
    ),
    "Operate": ("build-engine", "keys"),
}


class CommandGroup(typer.core.TyperGroup):
    """Loads a command's module when the command is asked for, and words the errors."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Names the commands for the help, group by group."""
        return [name for names in GROUPS.values() for name in names]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Builds one command from its module; None where there is no such command."""
        module_name = command_modules().get(cmd_name)
        if module_name is None:
            return None
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(importlib.import_module(module_name).command)
        command = typer.main.get_command(single)
        panel = next(group for group, names in GROUPS.items() if cmd_name in names)
        command.rich_help_panel = panel  # type: ignore[attr-defined]
        return command

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the command; an error about its input becomes one sentence and exit code 1."""
        try:
            return super().invoke(ctx)  # type: ignore[arg-type]
        except Exception as error:
            text = in_words(error)
            if ctx.params.get("debug") or not text:
                raise
            print(f"error: {text}", file=sys.stderr)
            raise typer.Exit(1) from error


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"quantv2x_ros {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of errors about the input, too.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Cars and roadside units that see together: cooperative 3D detection over V2X."""


def main() -> None:
    """Runs the command line with the program's arguments."""
    app(prog_name="python -m quantv2x_ros")
