# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Agents of a dataset level their clouds by their own ground planes, as the encoder node does."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS, Levelling
from quantv2x_ros.data.frame import Frame


class AgentLevels:
    """The ground of each agent of one scenario; arguments as for `Levelling`."""

    def __init__(self, heights: tuple[float, float] = SENSOR_HEIGHTS) -> None:
        """Start without a ground."""
        self._heights = heights
        self._agents: dict[str, Levelling] = {}

    def level(self, frame: Frame, agents: Sequence[str], seconds: float = 0.0) -> Frame:
        """Return a frame in which some agents are levelled, as far as they see ground.

        Args:
            frame: Frame of the dataset.
            agents: Whose clouds are levelled.
            seconds: Its time; frames come in their order.

        Raises:
            DatasetError: If a cloud is missing or damaged.
        """
        levels = {}
        for name in agents:
            if name not in self._agents:
                self._agents[name] = Levelling(self._heights)
            levels[name] = self._agents[name].update(frame[name].points, seconds)
        return frame.levelled(levels)
