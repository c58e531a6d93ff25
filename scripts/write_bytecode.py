# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports the libraries that the package imports, so that their bytecode is on disk.

uv leaves that to the first import, and the first imports are those of half a dozen nodes that all
start at once. Compiling all that is installed would take ten times as long. Where
PYTHONDONTWRITEBYTECODE is set, each process would compile for itself, each time.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "quantv2x_ros"
# What neither the nodes nor the demo touch.
_APART = {"training", "benchmark"}


def imported_modules(source: str) -> Iterator[str]:
    """Yields the full names of what a file imports, and of what may be a module in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries() -> list[str]:
    """Returns the modules of others that the nodes, the demo and the commands import."""
    known = {*sys.stdlib_module_names, "quantv2x_ros", "quantv2x_msgs"}
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if not _APART.intersection(path.relative_to(PACKAGE).parts):
            names.update(imported_modules(path.read_text(encoding="utf-8")))
    return sorted(name for name in names if name.split(".")[0] not in known)


def main() -> None:
    """Imports them; what is not installed, or is no module, is nobody's need here."""
    sys.dont_write_bytecode = False
    for name in libraries():
        try:
            importlib.import_module(name)
        except ImportError:
            continue


if __name__ == "__main__":
    main()
