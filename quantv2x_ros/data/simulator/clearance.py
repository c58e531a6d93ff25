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
#: Added to a body's length and width, metres.
MARGIN = 0.3


class Clearance:
    """Finds scenery within a body's volume."""

    def __init__(self, scenery: PartSet, ground: Ground) -> None:
        self.scenery, self._ground = scenery, ground
        corners = scenery.corners
        self._low, self._high = corners.min(axis=1), corners.max(axis=1)

    def allows(self, place: Place, size: Size) -> bool:
        """Return whether a body of ``size`` (l, w, h) at ``place`` touches no scenery.

        Bounding boxes are compared (separating axes), between what a body may stand over, such as
        a kerb, and nearly its top.
        """
        x, y, yaw = place
        half = (np.array(size[:2]) + MARGIN) / 2
        floor = self._ground.height(x, y)
        bottom, top = floor + 0.25 * size[2], floor + 0.9 * size[2]
        axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
        reach = half @ np.abs(axes)
        center = np.array([x, y])
        low, high = center - reach, center + reach
        near = np.all((self._low[:, :2] <= high) & (self._high[:, :2] >= low), axis=1)
        near &= (self._low[:, 2] <= top) & (self._high[:, 2] >= bottom)
        # leaves above a car may hang over what is higher
        near &= (self.scenery.porosity == 0) | (self._low[:, 2] < floor + CROWN_HEIGHT)
        if not near.any():
            return True
        corners = self.scenery.corners[near][..., :2] - center
        local = corners @ axes.T
        apart = ((local.min(axis=1) > half) | (local.max(axis=1) < -half)).any(axis=1)
        for index in (4, 2):  # the parts' own horizontal axes
            axis = corners[:, index] - corners[:, 0]
            along = np.einsum("ksd,kd->ks", corners, axis)
            extent = np.abs(axis @ axes.T) @ half
            apart |= (along.min(axis=1) > extent) | (along.max(axis=1) < -extent)
        return bool(apart.all())
