# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a first start on a machine compiles, before the scene begins, with a line of progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from quantv2x_ros.inference.backends import choose_backend
from quantv2x_ros.inference.engine_set import are_ready, build_engines
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Without a terminal, a line this often, seconds.
_LINE_PERIOD = 3.0


def prepare_engines(bundle: ModelBundle, backend: str, console: Console) -> bool:
    """Compile a bundle's engines into the user's cache, each once, where that has not been done.

    Args:
        bundle: the model.
        backend: see `create_engine`.
        console: shows how many are done, and how long the rest will take.

    Returns:
        Whether anything was compiled.

    Raises:
        EngineError: where the backend cannot run, or refuses a file.
    """
    chosen = choose_backend(backend)
    if chosen == "openvino" and are_ready(bundle):
        return False
    quiet = logging.getLogger("quantv2x_ros.inference")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # that engines are compiled is what the line below says
    try:
        if console.is_terminal:
            _with_bar(bundle, chosen, console)
        else:
            _with_lines(bundle, chosen, console)
    finally:
        quiet.setLevel(level)
    return True


def _with_bar(bundle: ModelBundle, backend: str, console: Console) -> None:
    columns = (
        TextColumn("Compiling engines, once on this machine"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        build_engines(
            bundle,
            backend,
            report=lambda _, done, text: progress.update(task, completed=done, description=text),
        )


def _with_lines(bundle: ModelBundle, backend: str, console: Console) -> None:
    console.print("Compiling engines, once on this machine …")
    build_engines(bundle, backend, report=_lines(console, time.monotonic))


def _lines(console: Console, clock: Callable[[], float]) -> Callable[[str, float, str], None]:
    """Return what prints a line now and then: how much is done, and the seconds left."""
    began = said = clock()

    def report(_: str, done: float, text: str) -> None:
        nonlocal said
        now = clock()
        if done <= 0.0 or (now - said < _LINE_PERIOD and done < 1.0):
            return
        said = now
        left = (now - began) * (1.0 - done) / done
        ending = f", about {left:.0f} s left" if done < 1.0 else f", done in {now - began:.0f} s"
        console.print(f"{text}{ending}")

    return report
