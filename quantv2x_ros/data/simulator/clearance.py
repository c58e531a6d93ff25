# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether an object would stand in the scenery."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.data.simulator.ground import Ground
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.shape import Size
from quantv2x_ros.data.simulator.slots import Place

#: Foliage that begins above this height, metres, is no obstacle.
CROWN_HEIGHT = 1.3


class Clearance:
    """Finds scenery within a body's volume."""

    def __init__(self, scenery: PartSet, ground: Ground) -> None:
        self.scenery, self._ground = scenery, ground
        corners = scenery.corners
        self._low, self._high = corners.min(axis=1), corners.max(axis=1)

    def allows(self, place: Place, size: Size) -> bool:
        """Return whether a body of ``size`` (l, w, h) at ``place`` touches no scenery."""
        x, y, yaw = place
        length, width, height = size
        grid = np.array(
            [
                [a, b, c]
                for a in np.linspace(-0.5, 0.5, 7)
                for b in (-0.5, -0.2, 0.2, 0.5)
                for c in (0.25, 0.9)
            ]
        ) * (length + 0.3, width + 0.3, height)
        points = np.empty_like(grid)
        points[:, 0] = x + grid[:, 0] * np.cos(yaw) - grid[:, 1] * np.sin(yaw)
        points[:, 1] = y + grid[:, 0] * np.sin(yaw) + grid[:, 1] * np.cos(yaw)
        points[:, 2] = self._ground.height(x, y) + grid[:, 2]
        low, high = points.min(axis=0), points.max(axis=0)
        near = np.all((self._low <= high) & (self._high >= low), axis=1)
        # leaves above a car may hang over what is higher
        near &= (self.scenery.porosity == 0) | (self._low[:, 2] < points[0, 2] + CROWN_HEIGHT)
        return not self.scenery.select(near).contains(points).any()
