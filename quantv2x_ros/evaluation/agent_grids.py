# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames in which a scenario's agents code their clouds: levelled, and turned to receivers."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.levels import AgentLevels
from quantv2x_ros.data.roadside import RoadsideGrids
from quantv2x_ros.inference.model.bundle import ModelBundle


class AgentGrids:
    """The grids of one scenario's agents, as the encoder node lays them."""

    def __init__(self, bundle: ModelBundle, *, level: bool = True, turn: bool = True) -> None:
        """Start with all grids as the sensors lie.

        Args:
            bundle: Model bundle.
            level: Whether each cloud is levelled by its own ground plane, where the model is
                for such clouds.
            turn: Whether roadside units lay their grids along their receivers' roads.
        """
        heights = bundle.sensor_heights
        self._levels = AgentLevels(heights) if level and heights is not None else None
        self._roadside = RoadsideGrids(bundle.grid, bundle.detection) if turn else None

    def lay(self, frame: Frame, agents: Sequence[str], seconds: float = 0.0) -> Frame:
        """Return a frame whose agents are in the frames of their maps.

        Args:
            frame: Frame of the dataset.
            agents: Names of the agents that take part, the ego first.
            seconds: Time of the frame; the frames of a scenario come in their order.

        Raises:
            DatasetError: If a cloud is missing or damaged.
        """
        if self._levels is not None:
            frame = self._levels.level(frame, agents, seconds)
        return frame if self._roadside is None else self._roadside.turn(frame, agents)
