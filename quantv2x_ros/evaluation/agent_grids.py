# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames in which a scenario's agents code their clouds: levelled, and turned to receivers."""

from __future__ import annotations

from collections.abc import Sequence

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS, Levelling
from quantv2x_ros.core.transport.grid_turn import GridTurn
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.inference.model.bundle import ModelBundle


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
