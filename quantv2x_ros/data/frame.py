# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame of a scenario: agents with poses and clouds, and the truth around an ego.

All coordinate frames are those of the files. V2X-Real is right-handed. OPV2V comes from CARLA,
whose y points right: points, poses and boxes share that mirrored frame, so that nothing needs to be
flipped for them to agree (the tests show it on real data), and boxes come out in the file's LiDAR
frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement
from quantv2x_ros.core.placement.levelling import levelled_points, levelled_pose
from quantv2x_ros.core.transport.grid_turn import turned_points, turned_pose
from quantv2x_ros.data.agent_yaml import ObjectRecord
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.layout import has_suffix
from quantv2x_ros.data.pcd import read_pcd
from quantv2x_ros.data.v2x_real import drop_ego_body, read_bin

COMMUNICATION_RANGE = 70.0
"""Distance up to which agents hear each other in the published evaluation, metres."""


class Truth(NamedTuple):
    """Labelled objects around an ego.

    Attributes:
        boxes: (N, 7) float32 x, y, z, l, w, h, yaw in the ego's LiDAR frame, metres and radians.
        labels: (N,) int64, 1-based index into :data:`~quantv2x_ros.data.v2x_real.CLASSES`.
        ids: (N,) int64 object ids of the dataset.
    """

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WorldObject:
    """A labelled object in the map frame.

    Attributes:
        object_id: Identity within the scenario, the same for every agent.
        label: 1-based class index.
        object_to_map: (4, 4) pose of the box centre with the full rotation.
        size: (3,) length, width, height, metres.
    """

    object_id: int
    label: int
    object_to_map: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]

    @classmethod
    def from_record(
        cls, record: ObjectRecord, label: int, labels_to_map: npt.NDArray[np.float64] | None = None
    ) -> WorldObject:
        """Place a record's box; its `center` offset turns with the object.

        Args:
            record: The object.
            label: 1-based class index.
            labels_to_map: (4, 4) from the frame of the record; `None` if that is the map's.
        """
        roll, yaw, pitch = record.angle
        object_to_map = matrix_from_v2x([*record.location, roll, yaw, pitch])
        object_to_map[:3, 3] += object_to_map[:3, :3] @ np.asarray(record.center)
        if labels_to_map is not None:
            object_to_map = labels_to_map @ object_to_map
        return cls(record.object_id, label, object_to_map, 2.0 * np.asarray(record.extent))

    @property
    def box(self) -> npt.NDArray[np.float64]:
        """(7,) x, y, z, l, w, h, yaw in the map frame."""
        return self.box_in(np.eye(4))

    def box_in(self, frame_to_map: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the box (7,) in another frame, its heading from the full rotation.

        Args:
            frame_to_map: (4, 4) pose of that frame.
        """
        pose = transform_between(self.object_to_map, frame_to_map)
        yaw = np.arctan2(pose[1, 0], pose[0, 0])
        return np.concatenate([pose[:3, 3], self.size, [yaw]])


def read_cloud(
    path: Path, *, infrastructure: bool, placement: CloudPlacement | None = None
) -> npt.NDArray[np.float32]:
    """Read an agent's sweep, without the agent's own body if it is a vehicle.

    Args:
        path: The file.
        infrastructure: Whether the agent is none.
        placement: How the file's frame lies to the LiDAR's; `None` if it is that.

    Returns:
        (P, 4) float32 x, y, z, 0 in the LiDAR frame, metres.

    Raises:
        DatasetError: If the cloud is missing or damaged.
    """
    is_bin = has_suffix(path, (".bin",))
    points = read_bin(path, vehicle=False) if is_bin else read_pcd(path)
    if placement is not None:
        points = placement.apply(points)
    return points if infrastructure else drop_ego_body(points)


@dataclass(frozen=True, eq=False)
class AgentFrame:
    """One agent at one time.

    Attributes:
        agent: Name of the agent in the dataset.
        infrastructure: True for a roadside unit.
        pose: (4, 4) float64 to the map, of the sensor as it was levelled and turned.
        cloud_path: The file with its sweep.
        objects: What its labels hold, of the classes that count.
        turn: Angle from the (levelled) LiDAR's x axis to that of the frame that `pose` and `points`
            are in, radians; see `core.transport.grid_turn`.
        level: (4, 4) from the LiDAR's frame to the levelled one; `None` where it was not levelled;
            see `core.placement.levelling`.
        placement: How the file's frame lies to the LiDAR's; `None` where it is that.
    """

    agent: str
    infrastructure: bool
    pose: npt.NDArray[np.float64]
    cloud_path: Path
    objects: tuple[WorldObject, ...]
    turn: float = 0.0
    level: npt.NDArray[np.float64] | None = None
    placement: CloudPlacement | None = None

    @cached_property
    def points(self) -> npt.NDArray[np.float32]:
        """(P, 4) float32 x, y, z, 0 in the (levelled, turned) LiDAR frame, read at the first use.

        Raises:
            DatasetError: If the cloud is missing or damaged.
        """
        points = read_cloud(
            self.cloud_path, infrastructure=self.infrastructure, placement=self.placement
        )
        if self.level is not None:
            points = levelled_points(points, self.level)
        return turned_points(points, self.turn) if self.turn else points

    def placed(self, placement: CloudPlacement) -> AgentFrame:
        """Return the same agent in the LiDAR's frame, where its files are in another one.

        Args:
            placement: How that lies to the LiDAR's frame; `pose` has been of it.

        Raises:
            ValueError: If it is placed, levelled or turned already.
        """
        if self.placement is not None or self.level is not None or self.turn:
            raise ValueError(f"agent {self.agent} is placed once, and before all else")
        return replace(self, pose=self.pose @ placement.extrinsics, placement=placement)

    @property
    def lidar_pose(self) -> npt.NDArray[np.float64]:
        """(4, 4) float64 LiDAR-to-map, whatever frame `pose` and `points` are in."""
        pose = turned_pose(self.pose, -self.turn) if self.turn else self.pose
        return pose if self.level is None else pose @ self.level

    def levelled(self, level: npt.NDArray[np.float64]) -> AgentFrame:
        """Return the same agent in its levelled frame.

        Args:
            level: (4, 4) from the LiDAR's frame to the levelled one.

        Raises:
            ValueError: If it is levelled or turned already.
        """
        if self.level is not None or self.turn:
            raise ValueError(f"agent {self.agent} is levelled once, and before its grid is turned")
        changed = replace(self, pose=levelled_pose(self.pose, level), level=level)
        if "points" in self.__dict__:  # read already
            changed.__dict__["points"] = levelled_points(self.points, level)
        return changed

    def turned(self, turn: float) -> AgentFrame:
        """Return the same agent in a frame turned about the vertical axis by so many radians."""
        changed = replace(self, pose=turned_pose(self.pose, turn), turn=self.turn + turn)
        if "points" in self.__dict__:  # read already
            changed.__dict__["points"] = turned_points(self.points, turn)
        return changed


@dataclass(frozen=True, eq=False)
class Frame:
    """All agents of a scenario at one time.

    Attributes:
        folder: The scenario's folder, for messages.
        timestamp: Name of the frame.
        agents: Agents by name, in the scenario's order.
    """

    folder: Path
    timestamp: str
    agents: dict[str, AgentFrame]

    def __getitem__(self, agent: str) -> AgentFrame:
        """Return an agent.

        Raises:
            DatasetError: If it is not in this frame.
        """
        if agent not in self.agents:
            raise DatasetError(
                self.folder,
                f"there is no agent {agent!r} at timestamp {self.timestamp}",
                f"Choose one of {', '.join(self.agents)}",
            )
        return self.agents[agent]

    def placed(self, placement: CloudPlacement) -> Frame:
        """Return the frame with all agents placed; see `AgentFrame`."""
        agents = {name: agent.placed(placement) for name, agent in self.agents.items()}
        return replace(self, agents=agents)

    def turned(self, turns: Mapping[str, float]) -> Frame:
        """Return the frame with some agents turned, by name and radians; see `AgentFrame`."""
        changed = {name: self[name].turned(turn) for name, turn in turns.items() if turn}
        return replace(self, agents={**self.agents, **changed}) if changed else self

    def levelled(self, levels: Mapping[str, npt.NDArray[np.float64] | None]) -> Frame:
        """Return the frame with some agents levelled, by name; see `AgentFrame`."""
        changed = {n: self[n].levelled(level) for n, level in levels.items() if level is not None}
        return replace(self, agents={**self.agents, **changed}) if changed else self

    def agents_in_range(self, ego: str, limit: float = COMMUNICATION_RANGE) -> list[str]:
        """Return the ego, then all agents within a horizontal distance of it.

        Args:
            ego: Name of the ego.
            limit: Largest distance of the sensors, metres.
        """
        origin = self[ego].pose[:2, 3]
        peers = [
            name
            for name, peer in self.agents.items()
            if name != ego and np.hypot(*(peer.pose[:2, 3] - origin)) <= limit
        ]
        return [ego, *peers]

    def ego_to_agents(self, agents: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return (N, 4, 4) transforms from the first agent's frame to every agent's."""
        ego = self[agents[0]]
        return np.stack([transform_between(ego.pose, self[name].pose) for name in agents])

    def truth(
        self, ego: str, agents: Iterable[str] | None = None, *, levelled: bool = False
    ) -> Truth:
        """Merge the labels of several agents around one of them.

        An object that several agents label counts once, as the ego sees it if it does, else as
        the first agent does. The ego vehicle itself, which its peers label, is left out.

        Args:
            ego: Whose LiDAR frame the boxes are in.
            agents: Whose labels count; all agents where `None`. The ego's always do.
            levelled: Give boxes in the frame that the ego's points are in instead.
        """
        observer = self[ego]
        frame_to_map = observer.pose if levelled else observer.lidar_pose
        names = list(self.agents) if agents is None else list(agents)
        merged: dict[int, WorldObject] = {}
        for name in [ego, *(name for name in names if name != ego)]:
            for item in self[name].objects:
                merged.setdefault(item.object_id, item)
        boxes, labels, ids = [], [], []
        for object_id, item in merged.items():
            box = item.box_in(frame_to_map)
            if observer.infrastructure or not _covers_origin(box):
                boxes.append(box)
                labels.append(item.label)
                ids.append(object_id)
        return Truth(
            np.asarray(boxes, dtype=np.float32).reshape(-1, 7),
            np.asarray(labels, dtype=np.int64),
            np.asarray(ids, dtype=np.int64),
        )


def _covers_origin(box: npt.NDArray[np.float64]) -> bool:
    """Tell whether the sensor stands within the box, seen from above."""
    x, y, _, length, width, _, yaw = box
    along = x * np.cos(yaw) + y * np.sin(yaw)
    across = y * np.cos(yaw) - x * np.sin(yaw)
    return bool(abs(along) <= length / 2 and abs(across) <= width / 2)
