# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios on disk: V2X-Real (`.bin`), OPV2V and V2V4Real (`.pcd`), and single frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.agent_reader import read_agent
from quantv2x_ros.data.bag_files import is_bag_like
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.foreign_layouts import foreign_layout, refuse_foreign
from quantv2x_ros.data.frame import (
    Frame,
)
from quantv2x_ros.data.layout import (
    CLOUD_SUFFIXES,
    AgentFiles,
    agent_order,
    has_suffix,
    list_files,
    scenario_folders,
)

_LOGGER = logging.getLogger(__name__)
_BAG_REMEDY = (
    "The launch file and the node replay play bags (replay:=PATH); this takes the folder of a"
    " V2X-Real, OPV2V or V2V4Real scenario"
)

FRAME_PERIOD = 0.1
"""Time between frames of V2X-Real and OPV2V, seconds."""


@dataclass(frozen=True)
class Scenario:
    """A recorded scenario of several agents.

    Attributes:
        folder: Where it lies.
        agents: Names of the agents: vehicles by number, then infrastructure (negative numbers).
        timestamps: Names of the frames in order.
        broken: Files left out because their counterpart is missing; only where that was asked for.
    """

    folder: Path
    agents: list[str]
    timestamps: list[str]
    _files: Mapping[str, Mapping[str, AgentFiles]]
    broken: tuple[DatasetError, ...] = ()

    @classmethod
    def open(cls, folder: str | Path, *, skip_broken: bool = False) -> Scenario:
        """Look through a scenario's folder; clouds and labels are read when asked for.

        Three layouts are known: `<agent>/<timestamp>.{bin,yaml}` (V2X-Real),
        `<agent>/<timestamp>.{pcd,yaml}` (OPV2V, V2V4Real), and `<agent>.yaml` with
        `<agent>_lidar.pcd` (a single frame).

        Args:
            folder: The scenario's folder.
            skip_broken: Leave a cloud or yaml without its counterpart out, and list it in
                `broken`, instead of raising.

        Raises:
            DatasetError: If the folder is no scenario, or a cloud or a yaml lacks its counterpart.
        """
        root = Path(folder)
        if not root.exists():
            raise DatasetError(root, "there is no such folder", "Check the path")
        refuse_bag(root)
        if not root.is_dir():
            raise DatasetError(
                root, "it is a file, not the folder of a scenario", _file_remedy(root)
            )
        if foreign_layout(root):
            refuse_foreign(root)
        broken: list[DatasetError] = []
        files = list_files(root, broken if skip_broken else None)
        if not files and broken:
            raise broken[0]
        if not files:
            refuse_foreign(root)
            raise DatasetError(
                root,
                "it holds no agents: neither <agent>/<timestamp>.bin or .pcd with a .yaml of the"
                " same name, nor <agent>_lidar.pcd with <agent>.yaml",
                _choice(root),
            )
        agents = sorted(files, key=agent_order)
        if len({station_id(agent) for agent in agents}) < len(agents):
            raise DatasetError(root, f"agents {agents} share a station id", "Rename their folders")
        stamps = sorted({stamp for table in files.values() for stamp in table}, key=float)
        return cls(root, agents, stamps, files, tuple(broken))

    def frame(self, timestamp: str) -> Frame:
        """Read the poses and labels of one frame.

        An agent without any file at this time is not part of the frame.

        Args:
            timestamp: One of `timestamps`.

        Raises:
            DatasetError: If there is no such frame, or a yaml is missing or damaged.
        """
        agents = {agent: read_agent(agent, files) for agent, files in self._present(timestamp)}
        return Frame(self.folder, timestamp, agents)

    def whole_frame(
        self, timestamp: str, *, clouds: bool = True
    ) -> tuple[Frame, list[DatasetError]]:
        """Read one frame without the agents whose files are damaged, as if they had sent nothing.

        Args:
            timestamp: One of `timestamps`.
            clouds: Read the clouds, too, and leave agents out whose cloud is damaged or empty.

        Returns:
            The frame, perhaps without any agent, and an error for each agent that was left out.

        Raises:
            DatasetError: If there is no such frame.
        """
        agents, broken = {}, []
        for agent, files in self._present(timestamp):
            try:
                item = read_agent(agent, files)
                if clouds and not len(item.points):
                    raise DatasetError(files.cloud, "the cloud has no point", "Copy it again")
            except DatasetError as error:
                broken.append(error)
            else:
                agents[agent] = item
        return Frame(self.folder, timestamp, agents), broken

    def _present(self, timestamp: str) -> list[tuple[str, AgentFiles]]:
        """Return the files of each agent that has some at a time.

        Raises:
            DatasetError: If there is no such frame.
        """
        if timestamp not in self.timestamps:
            raise DatasetError(
                self.folder,
                f"there is no timestamp {timestamp!r}",
                f"Choose one from {self.timestamps[0]} to {self.timestamps[-1]}",
            )
        tables = ((agent, self._files[agent]) for agent in self.agents)
        return [(agent, table[timestamp]) for agent, table in tables if timestamp in table]

    def frames(self) -> Iterator[Frame]:
        """Read all frames in order, one at a time."""
        return map(self.frame, self.timestamps)


def find_scenarios(root: str | Path) -> list[Path]:
    """Return the scenario folders at or below a folder, sorted.

    Args:
        root: A scenario, a split (`test/`) or a whole dataset.

    Raises:
        DatasetError: If there is none.
    """
    base = Path(root)
    found = scenario_folders(base)
    if not found:
        refuse_bag(base)
        if base.is_dir():
            refuse_foreign(base)
        raise DatasetError(
            base,
            "there is no scenario in it (folders <scenario>/<agent>/<timestamp>.bin or .pcd)",
            "Give a dataset, one of its splits, or a scenario",
        )
    return found


def refuse_bag(path: Path) -> None:
    """Refuse a bag where a dataset is wanted.

    Raises:
        DatasetError: If it is one, naming what plays it.
    """
    if path.exists() and is_bag_like(path):
        raise DatasetError(path, "it is a bag, no dataset", _BAG_REMEDY)


def open_whole(root: str | Path) -> list[Scenario]:
    """Open all scenarios at or below a folder, without files that lack their counterpart.

    Those are named in the log.

    Raises:
        DatasetError: If there is no scenario.
    """
    scenarios = [Scenario.open(folder, skip_broken=True) for folder in find_scenarios(root)]
    for error in (error for scenario in scenarios for error in scenario.broken):
        _LOGGER.warning("left out: %s", error)
    return scenarios


def _choice(root: Path) -> str:
    """Name what lies in a folder that could be meant instead."""
    scenarios = [str(path.relative_to(root)) for path in scenario_folders(root)]
    bags = [path.name for path in sorted(root.iterdir()) if is_bag_like(path)]
    for kind, names in (("scenarios", scenarios), ("bags", bags)):
        if names:
            return f"Choose one of the {kind} in it: {', '.join(names[:8])}"
    return "Give the folder of one scenario"


def _file_remedy(path: Path) -> str:
    """Say what a file that was given for a scenario can be used for."""
    if has_suffix(path, CLOUD_SUFFIXES):
        return "Give the folder of its scenario; `detect --cloud` takes a single cloud"
    return "Give the folder of one scenario"
