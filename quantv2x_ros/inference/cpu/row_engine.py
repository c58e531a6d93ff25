# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a part of a network on any number of rows, a few hundred at a time, on all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.row_parts import ROWS, RowPart

#: What a run reads, (n, K).
Rows = npt.NDArray[np.uint8]
#: What a run gives, (n, channels) by name.
Outputs = Mapping[str, npt.NDArray[Any]]
#: Fills the rows of the cells from a first to behind a last one; there may be more rows.
Fill = Callable[[int, int, Rows], None]
#: Takes the outputs of the same cells, and what lies behind them.
Keep = Callable[[int, int, Outputs], None]


class RowEngine:
    """A `RowPart` for any number of rows. One thread at a time may use it.

    Each run has a thread for itself, so that none waits for another within a convolution.

    Args:
        path: the ONNX file.
        part: the part of the file that runs.
        width: K, numbers of a row.
        rows: rows of a run.
        threads: that run it.
        pool: as many threads; None for the caller's alone.
    """

    def __init__(
        self,
        path: Path,
        part: RowPart,
        width: int,
        rows: int,
        threads: int,
        pool: Executor | None,
    ) -> None:
        self._shape = (1, 1, rows, width)
        self._engine = OpenVinoEngine(path, {ROWS: self._shape}, threads, threads, part)
        self._pool = pool
        self._own = threading.local()

    def run(self, count: int, fill: Fill, keep: Keep) -> None:
        """Compute so many rows; `fill` and `keep` are called by several threads at a time."""

        def one(start: int) -> None:
            stop = min(start + per_run, count)
            rows = self._buffer()
            fill(start, stop, rows[0, 0])
            outputs = self._engine.run({ROWS: rows})
            keep(start, stop, {name: array[0, 0] for name, array in outputs.items()})

        per_run = self._shape[2]
        starts = range(0, count, per_run)
        if self._pool is None:
            for start in starts:
                one(start)
        else:
            list(self._pool.map(one, starts))  # the list raises what a run raised

    def _buffer(self) -> Rows:
        """Return the calling thread's rows; what a run leaves of the last one is not used."""
        if not hasattr(self._own, "rows"):
            self._own.rows = np.zeros(self._shape, np.uint8)
        rows: Rows = self._own.rows
        return rows
