# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are an agent's clouds and poses, whatever they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.errors import BagError
from quantv2x_ros.data.recorded_messages import POINTS_TYPE, POSE_TYPE, TRANSFORM_TYPE

POSE_SOURCES = ("pose", "odometry", "tf")
STAMPED_TYPE = "geometry_msgs/msg/PoseStamped"
ODOMETRY_TYPE = "nav_msgs/msg/Odometry"
#: What poses can be read from.
POSE_TYPES = (POSE_TYPE, STAMPED_TYPE, ODOMETRY_TYPE)
STATIC_TOPIC = "/tf_static"
TRANSFORM_TOPICS = ("/tf", STATIC_TOPIC)
#: Name of the agent whose topics lie in no namespace, or have names of their own.
ROOT_AGENT = "/"


class BagTopicsError(ValueError):
    """Names of topics that contradict each other."""


@dataclass(frozen=True)
class AgentTopics:
    """The topics of an agent.

    Attributes:
        points: topic of its clouds.
        pose: topic of its poses; empty where they come from TF.
        pose_type: type of those.
    """

    points: str
    pose: str = ""
    pose_type: str = ""


@dataclass(frozen=True)
class BagTopics:
    """How the topics of a bag's agents are called.

    Attributes:
        points: topic of the clouds, in each agent's namespace, or with a slash before it one
            topic; empty for `points`.
        pose: topic of the poses, likewise; empty for `pose`, or `odometry` where that is the
            source.
        pose_source: `pose`, `odometry` or `tf`.
    """

    points: str = ""
    pose: str = ""
    pose_source: str = "pose"

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            BagTopicsError: for an unknown source, or a topic of poses that are to come from TF.
        """
        if self.pose_source not in POSE_SOURCES:
            raise BagTopicsError(
                f"pose_source: got {self.pose_source!r}, allowed are {', '.join(POSE_SOURCES)}"
            )
        if self.pose and self.pose_source == "tf":
            raise BagTopicsError(
                f"pose_topic: got {self.pose!r} while pose_source is tf, which takes /tf and"
                " /tf_static; give one of the two"
            )

    def agents(self, path: Path) -> dict[str, AgentTopics]:
        """Find the agents of a bag.

        Args:
            path: the bag.

        Returns:
            Their topics by name: the namespace without slashes, or `ROOT_AGENT`; in their order.

        Raises:
            BagError: for a bag without agents, naming its topics and how to choose them, or one
                that cannot be read.
        """
        with BagReader(path) as bag:
            kinds = {name: topic.msgtype for name, topic in bag.topics.items() if topic.count}
        clouds = self._clouds(kinds)
        agents = {name: self._with_pose(name, topic, kinds) for name, topic in clouds.items()}
        complete = {name: agents[name] for name in sorted(agents) if agents[name] is not None}
        if not complete:
            raise BagError(path, *self._complaint(kinds, clouds))
        if len(complete) > 1 and self.pose.startswith("/"):
            raise BagError(
                path,
                f"pose_topic {self.pose} is one topic for the {len(complete)} agents"
                f" {', '.join(complete)}",
                "Name it without its namespace, or give points_topic in full, too",
            )
        return {name: topics for name, topics in complete.items() if topics is not None}

    def _clouds(self, kinds: Mapping[str, str]) -> dict[str, str]:
        """Return the topic of clouds by agent."""
        wanted = self.points or "points"
        clouds = [name for name, kind in kinds.items() if kind == POINTS_TYPE]
        if wanted.startswith("/"):
            return {ROOT_AGENT: wanted} if wanted in clouds else {}
        end = f"/{wanted}"
        return {name[1 : -len(end)] or ROOT_AGENT: name for name in clouds if name.endswith(end)}

    def _with_pose(self, agent: str, points: str, kinds: Mapping[str, str]) -> AgentTopics | None:
        """Return an agent's topics; `None` where it has no poses."""
        if self.pose_source == "tf":
            has_transforms = any(kinds.get(name) == TRANSFORM_TYPE for name in TRANSFORM_TOPICS)
            return AgentTopics(points) if has_transforms else None
        name = self.pose or self.pose_source
        if not name.startswith("/"):
            name = f"/{name}" if agent == ROOT_AGENT else f"/{agent}/{name}"
        kind = kinds.get(name, "")
        return AgentTopics(points, name, kind) if kind in POSE_TYPES else None

    def _complaint(self, kinds: Mapping[str, str], clouds: Mapping[str, str]) -> tuple[str, str]:
        """Return what a bag lacks, and how to name what it has."""
        listed = ", ".join(f"{name} ({kind})" for name, kind in sorted(kinds.items())) or "none"
        poses = "tf" if self.pose_source == "tf" else self.pose or self.pose_source
        problem = (
            f"no namespace has {self.points or 'points'} ({POINTS_TYPE}) and {poses}"
            f" ({TRANSFORM_TYPE if poses == 'tf' else ' or '.join(POSE_TYPES)}); its topics are"
            f" {listed}"
        )
        found = [name for name, kind in sorted(kinds.items()) if kind == POINTS_TYPE]
        if not found:
            return problem, f"Record clouds ({POINTS_TYPE}) and poses"
        options = [] if clouds else [_option("points_topic", found)]
        pose = _pose_option(kinds)
        if not pose:
            return problem, f"Record poses beside the clouds: {', '.join(POSE_TYPES)}, or /tf"
        return problem, f"Name them: {' '.join([*options, pose])}"


#: As `record` names them.
DEFAULT_TOPICS = BagTopics()


def _pose_option(kinds: Mapping[str, str]) -> str:
    """Return the option that names a bag's poses; empty if it has none."""
    poses = [name for name, kind in sorted(kinds.items()) if kind in POSE_TYPES]
    if poses:
        return _option("pose_topic", poses)
    return "pose_source:=tf" if TRANSFORM_TYPE in kinds.values() else ""


def _option(name: str, topics: list[str]) -> str:
    others = f" (or {', '.join(topics[1:])})" if len(topics) > 1 else ""
    return f"{name}:={topics[0]}{others}"
