# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection on one frame of a dataset, or on a single cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import (
    extrinsics_matrix,
    invert,
    quaternion_from_matrix,
    transform_between,
    transform_points,
)
from quantv2x_ros.core.placement.cloud_extent import misplacement
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.ground_check import ground_fault, ground_of
from quantv2x_ros.core.placement.levelling import Levelling, in_sensor_frame, levelled_points
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Frame, read_cloud
from quantv2x_ros.data.layout import CLOUD_SUFFIXES, has_suffix
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.detector import detect_once
from quantv2x_ros.evaluation.drawing import PictureContent
from quantv2x_ros.inference.protocol import Cloud, Detector


def cloud_note(points: Cloud, lidar_range: Sequence[float], placement: CloudPlacement) -> str:
    """Word what seems wrong with a cloud, and the options that correct it; empty for nothing.

    Args:
        points: (P, 4) points as placed, neither levelled nor turned.
        lidar_range: Range of the model: minimum x, y, z, then maximum, metres.
        placement: Placement that the points were moved by.
    """
    remedy = PlacementRemedy(placement, of_command=True)
    place = misplacement(points, lidar_range, remedy)
    if place:
        return place
    plane = ground_of(points)
    return "" if plane is None else ground_fault(plane, remedy)


@dataclass(frozen=True, eq=False)
class Input:
    """The input of a detection.

    Attributes:
        clouds: Agent → points of its sweep in the frame of its map, the ego first.
        ego_to_agents: (N, 4, 4) from the frame of the ego's map to that of each agent's.
        truth_boxes: (M, 7) in the ego's LiDAR frame, `None` where there is no truth.
        level: (4, 4) from the ego's LiDAR frame to that of its map; `None` where they are the same.
        placement: Placement of the LiDARs' frames in the clouds' own frames.
    """

    clouds: dict[str, Cloud]
    ego_to_agents: npt.NDArray[np.float64]
    truth_boxes: npt.NDArray[np.float32] | None
    level: npt.NDArray[np.float64] | None = None
    placement: CloudPlacement = field(default_factory=CloudPlacement)

    @property
    def ego(self) -> str:
        """Return the name of the ego."""
        return next(iter(self.clouds))

    def alone(self) -> Input:
        """Return the same input without the peers."""
        clouds = {self.ego: self.clouds[self.ego]}
        return replace(self, clouds=clouds, ego_to_agents=self.ego_to_agents[:1])


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """The result of a detection.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        payload_bytes: Agent → number of bytes that it sends.
        stage_ms: Stage → milliseconds, summed over agents.
    """

    detections: Detections
    payload_bytes: dict[str, int]
    stage_ms: dict[str, float]


def read_frame(
    scenario: Scenario, timestamp: str, ego: str = ""
) -> tuple[Frame, list[DatasetError]]:
    """Read a frame of a scenario without the agents whose files are damaged.

    Args:
        scenario: Scenario as opened, without files that lack their counterpart.
        timestamp: Name of the frame; empty for the first.
        ego: Name of the ego; empty for the first agent.

    Returns:
        The frame, and an error for each agent that was left out of it.

    Raises:
        DatasetError: If there is no such frame, or the ego's own file in it is damaged.
    """
    frame, broken = scenario.whole_frame(timestamp or scenario.timestamps[0])
    broken += [error for error in scenario.broken if error.path.stem == frame.timestamp]
    wanted = ego or scenario.agents[0]
    if broken and wanted not in frame.agents:
        own = [error for error in broken if error.path.parent.name == wanted]
        raise (own or broken)[0]
    return frame, broken


def choose_agents(frame: Frame, ego: str | None, agents: str, limit: int) -> list[str]:
    """Return the names of the agents that take part, the ego first.

    Args:
        frame: Frame that the agents are chosen from.
        ego: Name of the ego; the first agent where `None` (vehicle 1 in V2X-Real).
        agents: `all`, or names separated by commas; the ego takes part in any case.
        limit: Largest number of agents that the model fuses; of `all`, the nearest are taken.

    Raises:
        DatasetError: If an agent is not in the frame, or more are named than the limit.
    """
    first = ego if ego is not None else next(iter(frame.agents))
    origin = frame[first].pose[:3, 3]
    if agents.strip() == "all":
        others = [name for name in frame.agents if name != first]
        others.sort(key=lambda name: float(np.linalg.norm(frame[name].pose[:3, 3] - origin)))
        return [first, *others[: limit - 1]]
    named = [name.strip() for name in agents.split(",") if name.strip()]
    chosen = list(dict.fromkeys([first, *(frame[name].agent for name in named)]))
    if len(chosen) > limit:
        raise DatasetError(
            frame.folder,
            f"{len(chosen)} agents were chosen, the bundle fuses {limit}",
            "Name fewer agents",
        )
    return chosen


def frame_input(frame: Frame, agents: Sequence[str]) -> Input:
    """Gather the clouds, poses and truth of some agents, the ego first.

    Peers' poses are as their packets hold them.
    """
    ego = frame[agents[0]]
    poses = [ego.pose, *(sent_pose(frame[name].pose) for name in agents[1:])]
    return Input(
        {name: frame[name].points for name in agents},
        np.stack([transform_between(ego.pose, pose) for pose in poses]),
        frame.truth(agents[0]).boxes,
        ego.level,
        ego.placement or CloudPlacement(),
    )


def cloud_input(
    path: Path, heights: tuple[float, float] | None = None, placement: CloudPlacement | None = None
) -> Input:
    """Read a single `.pcd` or `.bin` cloud of a vehicle.

    Args:
        path: File of the cloud.
        heights: Lowest and highest sensor height that the cloud is levelled to, metres, see
            `Levelling`; `None` leaves it as it is.
        placement: Placement of the LiDAR's frame in the cloud's; `None` where they are the same.

    Raises:
        DatasetError: If it cannot be read.
    """
    if not has_suffix(path, CLOUD_SUFFIXES):
        raise DatasetError(path, f"a cloud of type {path.suffix!r} is unknown", "Give .pcd or .bin")
    points = read_cloud(path, infrastructure=False, placement=placement)
    level = None if heights is None else Levelling(heights).update(points, 0.0)
    cloud = points if level is None else levelled_points(points, level)
    return Input({path.stem: cloud}, np.eye(4)[None], None, level, placement or CloudPlacement())


def look(detector: Detector, given: Input) -> DetectionResult:
    """Run one detection."""
    found, sizes, stages = detect_once(detector, given.clouds, given.ego_to_agents)
    return DetectionResult(in_sensor_frame(found, given.level), sizes, stages)


def detect(detector: Detector, given: Input) -> DetectionResult:
    """Run two detections: one to warm up, and one to measure."""
    look(detector, given)
    return look(detector, given)


def as_report(given: Input, outcome: DetectionResult, classes: Sequence[str]) -> dict[str, Any]:
    """Return the result as plain values, in metres and radians in the frame of the ego's cloud.

    Where that is not the LiDAR's, a box has its full `orientation` (quaternion x, y, z, w) beside
    the heading that is left of it in the x-y plane.
    """
    found = outcome.detections
    objects = [
        {
            "class": classes[int(label) - 1],
            "score": float(score),
            **_box_in_cloud(box, given.placement),
        }
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True)
    ]
    return {
        "ego": given.ego,
        "agents": list(given.clouds),
        "objects": objects,
        "bytes": outcome.payload_bytes,
        "ms": outcome.stage_ms,
    }


def _box_in_cloud(box: npt.NDArray[np.float32], placement: CloudPlacement) -> dict[str, Any]:
    """Return a box (7,) of the LiDAR's frame in that of the cloud."""
    size = [float(value) for value in box[3:6]]
    centre, yaw = [float(value) for value in box[:3]], float(box[6])
    if not placement.is_moved:
        return {"center": centre, "size": size, "yaw": yaw}
    pose = placement.extrinsics @ extrinsics_matrix([*centre, 0.0, 0.0, float(np.degrees(yaw))])
    return {
        "center": pose[:3, 3].tolist(),
        "size": size,
        "yaw": float(np.arctan2(pose[1, 0], pose[0, 0])),
        "orientation": quaternion_from_matrix(pose).tolist(),
    }


def as_scene(given: Input, outcome: DetectionResult, classes: Sequence[str]) -> PictureContent:
    """Return the content of a picture, in the ego's LiDAR frame."""
    clouds, sensors = {}, {}
    for (name, points), transform in zip(given.clouds.items(), given.ego_to_agents, strict=True):
        agent_to_ego = invert(transform)
        if given.level is not None:
            agent_to_ego = invert(given.level) @ agent_to_ego
        clouds[name] = transform_points(points, agent_to_ego)
        sensors[name] = (float(agent_to_ego[0, 3]), float(agent_to_ego[1, 3]))
    return PictureContent(clouds, sensors, outcome.detections, given.truth_boxes, classes)


def draw(
    path: Path, detector: Detector, given: Input, outcome: DetectionResult, heading: str
) -> None:
    """Save a picture: the ego alone beside the cooperation, if there are peers."""
    # matplotlib takes a second, and wants a folder of its own that it can write
    from quantv2x_ros.evaluation.pictures import panel_title, save_comparison, save_picture

    classes = detector.bundle.classes
    scene = as_scene(given, outcome, classes)
    if len(given.clouds) == 1:
        save_picture(path, [(panel_title("detections", scene), scene)], heading=heading)
        return
    alone = given.alone()
    lonely = look(detector, alone)
    save_comparison(path, as_scene(alone, lonely, classes), scene, heading=heading)
