# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios on disk: V2X-Real (`.bin`), OPV2V and V2V4Real (`.pcd`), and single frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.core.pose import PoseError, matrix_from_v2x
from quantv2x_ros.data.agent_names import agent_namespace, station_id
from quantv2x_ros.data.agent_yaml import AgentRecord, ObjectRecord, read_agent_yaml
from quantv2x_ros.data.bag_files import is_bag_like
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.foreign_layouts import foreign_layout, refuse_foreign
from quantv2x_ros.data.frame import (
    COMMUNICATION_RANGE,
    AgentFrame,
    Frame,
    Truth,
    WorldObject,
    read_cloud,
)
from quantv2x_ros.data.label_frame import labels_to_map
from quantv2x_ros.data.layout import (
    CLOUD_SUFFIXES,
    AgentFiles,
    agent_order,
    has_suffix,
    list_files,
    scenario_folders,
)
from quantv2x_ros.data.modes import MODES, select_agents
from quantv2x_ros.data.v2x_real import CLASSES, OBJECT_TYPES

__all__ = [
    "COMMUNICATION_RANGE",
    "MODES",
    "AgentFrame",
    "DatasetError",
    "Frame",
    "Scenario",
    "Truth",
    "WorldObject",
    "agent_namespace",
    "find_scenarios",
    "read_cloud",
    "select_agents",
    "station_id",
]

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
        if is_bag_like(root):
            raise DatasetError(root, "it is a bag, no dataset", _BAG_REMEDY)
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
        """Read the poses and labels of one moment.

        An agent without any file for this moment is not part of the frame.

        Args:
            timestamp: One of `timestamps`.

        Raises:
            DatasetError: If there is no such moment, or a yaml is missing or damaged.
        """
        if timestamp not in self.timestamps:
            raise DatasetError(
                self.folder,
                f"there is no timestamp {timestamp!r}",
                f"Choose one from {self.timestamps[0]} to {self.timestamps[-1]}",
            )
        present = {
            agent: self._files[agent][timestamp]
            for agent in self.agents
            if timestamp in self._files[agent]
        }
        agents = {agent: _read_agent(agent, files) for agent, files in present.items()}
        return Frame(self.folder, timestamp, agents)

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
        if base.is_dir():
            refuse_foreign(base)
        raise DatasetError(
            base,
            "there is no scenario in it (folders <scenario>/<agent>/<timestamp>.bin or .pcd)",
            "Give a dataset, one of its splits, or a scenario",
        )
    return found


def _read_agent(agent: str, files: AgentFiles) -> AgentFrame:
    record = read_agent_yaml(files.labels)
    try:
        pose = matrix_from_v2x(record.lidar_pose)
    except PoseError as error:
        raise DatasetError(files.labels, str(error), "Correct lidar_pose") from error
    infrastructure = is_infrastructure(record, agent)
    labelled = [(item, label_of(item, files)) for item in record.objects]
    frame = labels_to_map(record, pose)
    objects = tuple(
        WorldObject.from_record(item, label, frame) for item, label in labelled if label is not None
    )
    return AgentFrame(agent, infrastructure, pose, files.cloud, objects)


def is_infrastructure(record: AgentRecord, agent: str) -> bool:
    """Tell whether an agent is a roadside unit; by its negative number where its yaml is silent."""
    if record.infrastructure is None:
        return agent.startswith("-")
    return record.infrastructure


def label_of(record: ObjectRecord, files: AgentFiles) -> int | None:
    """Return the 1-based class of an object, `None` for types that do not count.

    OPV2V (`.pcd`) labels vehicles only and names no type.

    Raises:
        DatasetError: If a V2X-Real object has no type.
    """
    if record.obj_type is not None:
        name = OBJECT_TYPES.get(record.obj_type)
        return None if name is None else CLASSES.index(name) + 1
    if has_suffix(files.cloud, (".bin",)):
        raise DatasetError(
            files.labels,
            f"object {record.object_id} has no obj_type",
            f"Add it: {', '.join(OBJECT_TYPES)}",
        )
    return CLASSES.index("vehicle") + 1


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
