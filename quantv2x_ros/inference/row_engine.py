# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a part of the head on any number of rows, a few hundred at a time, on all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.inference.head_parts import ROWS, HeadPart
from quantv2x_ros.inference.openvino import OpenVinoEngine

Rows = npt.NDArray[np.uint8]
#: Fills rows (n, K) for the cells from a first to behind a last one.
Fill = Callable[[int, int, Rows], None]
#: Takes the outputs (n, channels), by name, of the same cells.
Keep = Callable[[int, int, Mapping[str, npt.NDArray[Any]]], None]


class RowEngine:
    """A `HeadPart` for any number of rows. One thread at a time may use it.

    Each run has a thread for itself, so that none waits for another within a convolution.

    Args:
        path: the head's ONNX file.
        part: of it.
        width: K, numbers of a row.
        rows: of a run.
        threads: that run it.
        pool: as many threads; None for the caller's alone.
    """

    def __init__(
        self,
        path: Path,
        part: HeadPart,
        width: int,
        rows: int,
        threads: int,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self._shape = (1, 1, rows, width)
        self._engine = OpenVinoEngine(path, {ROWS: self._shape}, threads, threads, part)
        self._pool = pool
        self._own = threading.local()

    def run(self, count: int, fill: Fill, keep: Keep) -> None:
        """Compute so many rows; `fill` and `keep` are called by several threads at a time."""
        per_run = self._shape[2]

        def one(start: int) -> None:
            stop = min(start + per_run, count)
            rows = self._buffer()
            fill(start, stop, rows[0, 0])
            outputs = self._engine.run({ROWS: rows})
            keep(start, stop, {k: v[0, 0, : stop - start] for k, v in outputs.items()})

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
