# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads on the CPU, computed only where an agent holds an object for possible."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.active_cells import ActiveCells, gather_patches, scatter_blocks
from quantv2x_ros.core.fusion.fusion import fuse_cells
from quantv2x_ros.inference.cpu.row_engine import Keep, Outputs, RowEngine, Rows
from quantv2x_ros.inference.cpu.row_parts import (
    DEBLOCKS,
    HEADS,
    RESULT,
    SHRINK,
    convolution_shapes,
)
from quantv2x_ros.inference.heads import deciding_scores
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import SCALES, AgentPyramid, HeadMaps, StageTimer
from quantv2x_ros.inference.window import HeadWindow

Array = npt.NDArray[Any]

#: Rows of a run: what they read, compute and write nearly stays in a second-level cache.
DEBLOCK_ROWS, SHRINK_ROWS = (2048, 512, 128), 256
#: Where more of the window's cells pass the first shrink convolution, whole maps are faster.
MOST_CELLS = 0.6


class CellHeads:
    """Fuses pyramids and runs the heads in the cells whose predicted occupancy says so.

    There they give what whole maps give, bit for bit.

    Args:
        bundle: in INT8.
        window: columns that are wanted.
        threads: CPU threads; None for one a core.
        channels: channels of the pyramid's scales.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        window: HeadWindow,
        threads: int | None,
        channels: Sequence[int],
    ) -> None:
        self._bundle = bundle
        self._columns = window.kept
        height, width = bundle.grid.shape
        computed = window.computed.stop - window.computed.start
        self._most_cells = int(MOST_CELLS * height * computed)
        path, count = bundle.engine_path("head"), threads or os.cpu_count() or 1
        pool = ThreadPoolExecutor(count, "heads") if count > 1 else None
        self._deblocks = [
            RowEngine(path, part, size, rows, count, pool)
            for part, size, rows in zip(DEBLOCKS, channels, DEBLOCK_ROWS, strict=True)
        ]
        shapes = convolution_shapes(path, (*DEBLOCKS, SHRINK, HEADS))
        blocks = [rows // 4**level for level, (rows, *_) in enumerate(shapes[:SCALES])]
        #: first channel of each deblock in the map that they make together
        self._first = [sum(blocks[:level]) for level in range(SCALES)]
        merged, shrunk = shapes[-2][1], shapes[-1][1]
        self._shrink = RowEngine(path, SHRINK, 9 * merged, SHRINK_ROWS, count, pool)
        self._heads = RowEngine(path, HEADS, 9 * shrunk, SHRINK_ROWS, count, pool)
        # the border is the padding of the convolutions; what earlier frames left is never read
        self._merged = np.zeros((height + 2, width + 2, merged), np.uint8)
        self._shrunk = np.zeros((height + 2, width + 2, shrunk), np.uint8)

    def __call__(
        self,
        pyramids: Sequence[AgentPyramid],
        thetas: npt.NDArray[np.float64],
        occupancy: float,
        timer: StageTimer,
    ) -> HeadMaps | None:
        """Return the heads' outputs by cell; None where whole maps are faster.

        Args:
            pyramids: pyramids of the agents, the ego's first.
            thetas: (N, 2, 3).
            occupancy: least probability of an object at which a cell is computed.
            timer: books the stages warp and head.
        """
        least = np.float32(self._bundle.manifest.score_gain * occupancy)
        highest = deciding_scores(pyramids, thetas)
        cells = ActiveCells.where(highest >= least, self._columns)
        if len(cells.inner) > self._most_cells:
            timer.stop("warp")
            return None
        fused = [self._fuse(level, pyramids, thetas, cells) for level in range(SCALES)]
        timer.stop("warp")
        for level, rows in enumerate(fused):
            self._merge(level, rows, np.flatnonzero(cells.needed[level]))
        self._run(self._shrink, self._merged, cells.inner, self._keep_shrunk(cells.inner))
        maps = self._compute_heads(cells.heads)
        timer.stop("head")
        return maps

    def _fuse(
        self,
        level: int,
        pyramids: Sequence[AgentPyramid],
        thetas: npt.NDArray[np.float64],
        cells: ActiveCells,
    ) -> Array:
        return fuse_cells(
            [pyramid.features[level] for pyramid in pyramids],
            [pyramid.scores[level] for pyramid in pyramids],
            thetas,
            cells.needed[level],
            scale_in=self._bundle.scale(f"level{level}") or 1.0,
            scale_out=self._bundle.scale(f"fused{level}") or 1.0,
        )

    def _merge(self, level: int, fused: Array, cells: npt.NDArray[np.int64]) -> None:
        """Run a deblock on its level's fused cells."""

        def fill(start: int, stop: int, rows: Rows) -> None:
            rows[: stop - start] = fused[start:stop]

        def keep(start: int, stop: int, outputs: Outputs) -> None:
            scatter_blocks(
                outputs[RESULT], cells[start:stop], 1 << level, self._first[level], self._merged
            )

        self._deblocks[level].run(len(cells), fill, keep)

    @staticmethod
    def _run(engine: RowEngine, source: Array, cells: npt.NDArray[np.int64], keep: Keep) -> None:
        """Run a 3x3 convolution of some cells of a map."""

        def fill(start: int, stop: int, rows: Rows) -> None:
            gather_patches(source, cells[start:stop], rows)

        engine.run(len(cells), fill, keep)

    def _keep_shrunk(self, cells: npt.NDArray[np.int64]) -> Keep:
        def keep(start: int, stop: int, outputs: Outputs) -> None:
            scatter_blocks(outputs[RESULT], cells[start:stop], 1, 0, self._shrunk)

        return keep

    def _compute_heads(self, cells: npt.NDArray[np.int64]) -> HeadMaps:
        per_cell = self._bundle.anchors.per_cell
        labels = len(self._bundle.classes)
        sizes = {"cls": per_cell * labels, "reg": per_cell * 7, "dir": per_cell * 2}
        maps = {k: np.empty((len(cells), 1, size), np.float32) for k, size in sizes.items()}

        def keep(start: int, stop: int, outputs: Outputs) -> None:
            for name, values in maps.items():
                values[start:stop, 0] = outputs[f"{name}_nhwc"][: stop - start]

        self._run(self._heads, self._shrunk, cells, keep)
        rows, columns = np.divmod(cells, self._bundle.grid.shape[1])
        kept = self._columns.stop - self._columns.start
        numbers = rows * kept + columns - self._columns.start
        return HeadMaps(maps["cls"], maps["reg"], maps["dir"], numbers)
