# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of the grid that the heads compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.fusion.columns import REGRESSION_REACH
from quantv2x_ros.core.geometry.grid import BevGrid

#: The coarsest pyramid scale has cells of four.
ALIGNMENT = 4
#: Most cells that the published head engine computes at a time on a CPU: its maps of some 400
#: channels then nearly stay in the second-level caches of two cores.
TILE_CELLS = 15_000


@dataclass(frozen=True)
class HeadWindow:
    """Columns of the feature map that the heads compute, and those whose anchors count.

    Boxes are wanted in x ± range_x only, and what the heads give in a cell depends on the fused
    map in its surroundings: anchors within the regression's reach of that range, plus the heads'
    reach, give exactly what the whole map would.

    Attributes:
        computed: columns of the fused map that enter the head engine; multiples of 4.
        kept: columns whose head outputs are exact and used.
        halo: columns that the heads reach to each side.
    """

    computed: slice
    kept: slice
    halo: int

    @classmethod
    def of(
        cls, grid: BevGrid, detection: DetectionConfig, halo: int, exact: bool = False
    ) -> HeadWindow:
        """Window of a grid; the whole grid with ``exact`` or where it is no larger anyway."""
        width = grid.shape[1]
        whole = cls(slice(0, width), slice(0, width), halo)
        reach = detection.range_x + REGRESSION_REACH
        if exact or not math.isfinite(reach):
            return whole
        size = grid.cell_size[1]
        first = max(0, math.floor((-reach - grid.lidar_range[0]) / size))
        last = min(width, math.ceil((reach - grid.lidar_range[0]) / size))
        if first >= last:
            return whole
        start = max(0, (first - halo) // ALIGNMENT * ALIGNMENT)
        stop = min(width, -((-last - halo) // ALIGNMENT) * ALIGNMENT)
        return cls(slice(start, stop), slice(first, last), halo)

    @property
    def inner(self) -> slice:
        """The kept columns, counted from the first computed one."""
        return slice(self.kept.start - self.computed.start, self.kept.stop - self.computed.start)

    def strips(self, rows: int) -> tuple[HeadWindow, ...]:
        """Cut the window into strips of one width that keep together what it keeps, as exactly.

        Neighbours overlap by the halos of both.

        Args:
            rows: rows of the feature map; a strip has at most about `TILE_CELLS`.
        """
        start, stop = self.computed.start, self.computed.stop
        count = -(-rows * (stop - start) // TILE_CELLS)
        overlap = -(-2 * self.halo // ALIGNMENT) * ALIGNMENT
        width = -(-(stop - start + (count - 1) * overlap) // (count * ALIGNMENT)) * ALIGNMENT
        starts = [min(start + n * (width - overlap), stop - width) for n in range(count)]
        edges = [self.kept.start, *(first + self.halo for first in starts[1:]), self.kept.stop]
        return tuple(
            HeadWindow(slice(first, first + width), slice(low, high), self.halo)
            for first, low, high in zip(starts, edges[:-1], edges[1:], strict=True)
        )

    def at_scale(self, level: int) -> slice:
        """Computed columns on a pyramid scale, whose cells are 2**level times as large."""
        return slice(self.computed.start >> level, self.computed.stop >> level)
