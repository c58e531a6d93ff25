# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Progress of long work on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn


def counting_progress() -> Progress:
    """Return bars that also show how many items are done and how long it took."""
    return Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show one such bar; yields what takes the number of items done and that of all.

    Args:
        title: what is done.
    """
    with counting_progress() as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
