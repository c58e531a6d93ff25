# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Roadside units of a dataset lay their grids along their receivers' roads, as the encoder does."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.data.frame import Frame


class RoadsideGrids:
    """The grids of one scenario's roadside units; arguments as for `GridTurn`."""

    def __init__(self, grid: BevGrid, detection: DetectionConfig) -> None:
        """Start with all grids as the sensors lie."""
        self._grid = grid
        self._detection = detection
        self._turns: dict[str, GridTurn] = {}

    def turn(self, frame: Frame, agents: Sequence[str]) -> Frame:
        """Return a frame whose roadside units, but for an ego, are in their grids' frames.

        Args:
            frame: Frame of the dataset.
            agents: Who takes part, the ego first; each hears all others.
        """
        turns = {}
        for name in agents[1:]:
            if frame[name].infrastructure:
                others = [frame[other].pose for other in agents if other != name]
                if name not in self._turns:
                    self._turns[name] = GridTurn(self._grid, self._detection)
                turns[name] = self._turns[name].towards(frame[name].pose, others)
        return frame.turned(turns)
