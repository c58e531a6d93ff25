# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which columns of an agent's map the ego's boxes depend on.

A map is longer than the range in which boxes are wanted, and of a peer that is ahead, or crosses,
only a part lies in that range. The rest need not be computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import transform_points

Float64 = npt.NDArray[np.float64]

#: How far a box's centre is regressed from its anchor's cell at most, metres. Matched anchors
#: overlap their box by at least a third, which half the length of a truck bounds.
REGRESSION_REACH = 4.0
#: Computed beyond what the anchors in range need, metres: what convolutions see around an object
#: that matters to it, and how far the ego drives while a peer's map is used.
MARGIN = 8.0
#: Distance of the places that stand for the ego's range, metres.
_SPACING = 2.0


class NeededColumns:
    """Finds the columns of agents' maps that matter to one ego."""

    def __init__(self, grid: BevGrid, detection: DetectionConfig) -> None:
        """Prepare.

        Args:
            grid: the grid of all maps.
            detection: has the range in which the ego wants boxes.
        """
        low_x, low_y, _, high_x, high_y, _ = grid.lidar_range
        self._low, self._high = np.array([low_x, low_y]), np.array([high_x, high_y])
        self._cell, self._width = grid.cell_size[1], grid.shape[1]
        reach_x, reach_y = (r + REGRESSION_REACH for r in (detection.range_x, detection.range_y))
        x = _places(max(low_x, -reach_x), min(high_x, reach_x))
        y = _places(max(low_y, -reach_y), min(high_y, reach_y))
        self._range: Float64 = np.stack(np.meshgrid(x, y, [0.0], indexing="ij"), -1).reshape(-1, 3)

    def of(self, ego_to_agent: Float64) -> slice:
        """Return the columns of an agent's map that lie in the ego's range, with a margin.

        Args:
            ego_to_agent: (4, 4) from the ego's frame to the agent's, metres.

        Returns:
            First and behind the last; an empty slice where the map lies out of the range.
        """
        places = transform_points(self._range, ego_to_agent)[:, :2]
        inside = ((places >= self._low - _SPACING) & (places < self._high + _SPACING)).all(axis=1)
        if not inside.any():
            return slice(0, 0)
        x = places[inside, 0]
        first = np.floor((x.min() - MARGIN - self._low[0]) / self._cell)
        last = np.ceil((x.max() + MARGIN - self._low[0]) / self._cell)
        return slice(max(0, int(first)), min(self._width, int(last)))


def _places(low: float, high: float) -> Float64:
    """Return positions from low to high, both included, at most `_SPACING` apart."""
    return np.linspace(low, high, 2 + int((high - low) / _SPACING))
