# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several agents see at one time, and how it may be mirrored, turned and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.data.frame import Frame

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AgentView:
    """One agent's cloud and labels in its own LiDAR frame, and the way there from the ego.

    Attributes:
        points: (P, 4) float32.
        boxes: (G, 7) float32 objects that this agent labels.
        ego_to_agent: (4, 4) float64.
    """

    points: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]
    ego_to_agent: Array


@dataclass(frozen=True, eq=False)
class CooperativeFrame:
    """What one ego and its peers see.

    Attributes:
        agents: the ego first.
        boxes: (G, 7) float32 truth in the ego's frame, merged over the agents.
        labels: (G,) int64.
    """

    agents: tuple[AgentView, ...]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    @classmethod
    def from_frame(cls, frame: Frame, agents: Sequence[str]) -> CooperativeFrame:
        """Take the agents named, the ego first, from a dataset's frame."""
        ego = frame[agents[0]]
        truth = frame.truth(agents[0], agents, levelled=True)
        views = []
        for name in agents:
            agent = frame[name]
            boxes = [item.box_in(agent.pose) for item in agent.objects]
            views.append(
                AgentView(
                    agent.points,
                    np.asarray(boxes, dtype=np.float32).reshape(-1, 7),
                    transform_between(ego.pose, agent.pose),
                )
            )
        return cls(tuple(views), truth.boxes, truth.labels)


def mirrored(frame: CooperativeFrame, axis: int) -> CooperativeFrame:
    """Mirror the world at every agent's own x-z plane (axis 1) or y-z plane (axis 0)."""
    mirror = np.eye(4)
    mirror[axis, axis] = -1.0

    def boxes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        out = values.copy()
        out[:, axis] *= -1
        out[:, 6] = -out[:, 6] if axis == 1 else np.pi - out[:, 6]
        return out

    views = []
    for view in frame.agents:
        points = view.points.copy()
        points[:, axis] *= -1
        views.append(AgentView(points, boxes(view.boxes), mirror @ view.ego_to_agent @ mirror))
    return CooperativeFrame(tuple(views), boxes(frame.boxes), frame.labels)


def turned(frame: CooperativeFrame, angles: Sequence[float]) -> CooperativeFrame:
    """Turn every agent's own frame about z by an angle [rad], as if it were mounted so."""

    def rotation(angle: float) -> Array:
        matrix = np.eye(4)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return matrix

    def boxes(values: npt.NDArray[np.float32], angle: float) -> npt.NDArray[np.float32]:
        out = values.copy()
        out[:, :2] = values[:, :2] @ rotation(angle)[:2, :2].T.astype(np.float32)
        out[:, 6] += angle
        return out

    back = rotation(-angles[0])
    views = []
    for view, angle in zip(frame.agents, angles, strict=True):
        points = view.points.copy()
        points[:, :2] = points[:, :2] @ rotation(angle)[:2, :2].T.astype(np.float32)
        transform = rotation(angle) @ view.ego_to_agent @ back
        views.append(AgentView(points, boxes(view.boxes, angle), transform))
    return CooperativeFrame(tuple(views), boxes(frame.boxes, angles[0]), frame.labels)


def scaled(frame: CooperativeFrame, factor: float) -> CooperativeFrame:
    """Scale the world about every sensor."""

    def boxes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        out = values.copy()
        out[:, :6] *= factor
        return out

    views = []
    for view in frame.agents:
        points = view.points.copy()
        points[:, :3] *= factor
        transform = view.ego_to_agent.copy()
        transform[:3, 3] *= factor
        views.append(AgentView(points, boxes(view.boxes), transform))
    return CooperativeFrame(tuple(views), boxes(frame.boxes), frame.labels)
