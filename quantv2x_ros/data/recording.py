# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns a dataset's scenario into a rosbag2 recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quantv2x_ros.data.agent_names import agent_namespace
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.errors import BagError, DatasetError
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.frame_store import FrameStore, RecordedMessage
from quantv2x_ros.data.recorded_messages import (
    MARKERS_TYPE,
    POINTS_TYPE,
    POSE_TYPE,
    TRANSFORM_TYPE,
    serialize_cloud,
    serialize_pose,
    serialize_transforms,
    serialize_truth,
)
from quantv2x_ros.data.scenario import FRAME_PERIOD, Scenario
from quantv2x_ros.data.v2x_real import CLASSES

TRANSFORM_TOPIC = "/tf"
TRUTH_TOPIC = "/ground_truth"
START_STAMP = 1_600_000_000_000_000_000
"""Stamp of a scenario's first frame, nanoseconds: the datasets do not tell the time of day, and
zero would mean "no time" in ROS."""


class Supplement(Protocol):
    """Further messages of each frame, such as indices.

    Attributes:
        topics: message types by topic; those that begin with a late subscriber's copy are latched.
        latched: topics whose last message late subscribers get.
        settings: what the messages depend on.
    """

    topics: Mapping[str, str]
    latched: frozenset[str]
    settings: Mapping[str, object]

    def messages(self, index: int, frame: Frame, stamp: int) -> Sequence[RecordedMessage]:
        """Return the messages of a frame, nanoseconds its stamp."""


@dataclass(frozen=True)
class RecordOptions:
    """What is recorded beside the poses.

    Attributes:
        storage: `mcap` or `sqlite3`.
        agents: who is recorded; None for all.
        clouds: whether their sweeps are.
        truth: whether the labels of all agents are, as boxes in the map frame.
    """

    storage: str = "mcap"
    agents: tuple[str, ...] | None = None
    clouds: bool = True
    truth: bool = True


def points_topic(agent: str) -> str:
    """Return the topic of an agent's sweeps (PointCloud2)."""
    return f"/{agent_namespace(agent)}/points"


def pose_topic(agent: str) -> str:
    """Return the topic of an agent's sensor_to_map poses (PoseWithCovarianceStamped)."""
    return f"/{agent_namespace(agent)}/pose"


def lidar_frame(agent: str) -> str:
    """Return the frame id of an agent's LiDAR."""
    return f"{agent_namespace(agent)}/lidar"


def frame_stamp(index: int) -> int:
    """Return the stamp of a scenario's n-th frame, nanoseconds."""
    return START_STAMP + round(index * FRAME_PERIOD * 1e9)


def record_scenario(
    scenario: Scenario,
    path: str | Path,
    options: RecordOptions | None = None,
    progress: Callable[[], object] | None = None,
    supplement: Supplement | None = None,
    warn: Callable[[DatasetError], object] | None = None,
) -> int:
    """Write a scenario as a bag: poses, and what else the options say.

    An interrupted recording goes on where it was when it is started again: complete frames wait
    in a folder beside the bag, whose name ends in `.partial`.

    Args:
        scenario: What to record.
        path: Folder of the new bag.
        options: What goes in; see there for what does if None.
        progress: Called after every frame, those that were complete already included.
        supplement: Further messages.
        warn: Told of each damaged file, whose agent is left out of its frame; without it, the
            first one is raised.

    Returns:
        Number of messages.

    Raises:
        DatasetError: If the scenario is damaged or lacks an agent, or the bag exists already.
    """
    options = options or RecordOptions()
    path = Path(path)
    if path.exists():
        raise BagError(path, "it exists already", "Remove it, or choose another path")
    agents = _agents(scenario, options)
    settings = {
        "scenario": str(Path(scenario.folder).resolve()),
        "agents": agents,
        "clouds": options.clouds,
        "truth": options.truth,
        **(supplement.settings if supplement is not None else {}),
    }
    topics = _topics(agents, options)
    latched = supplement.latched if supplement is not None else frozenset()
    topics.update(supplement.topics if supplement is not None else {})
    store = FrameStore(path, settings)
    for index, timestamp in enumerate(scenario.timestamps):
        if not store.has(index):
            frame = _frame(scenario, timestamp, options, warn)
            stamp = frame_stamp(index)
            messages = _messages(frame, [a for a in agents if a in frame.agents], stamp, options)
            if supplement is not None:
                messages += supplement.messages(index, frame, stamp)
            store.put(index, messages)
        if progress is not None:
            progress()
    count = _assemble(path, options.storage, topics, latched, store, len(scenario.timestamps))
    store.remove()
    return count


def _frame(
    scenario: Scenario,
    timestamp: str,
    options: RecordOptions,
    warn: Callable[[DatasetError], object] | None,
) -> Frame:
    """Read a frame, without what is damaged if somebody is told of it."""
    if warn is None:
        return scenario.frame(timestamp)
    frame, broken = scenario.whole_frame(timestamp, clouds=options.clouds)
    for error in broken:
        warn(error)
    return frame


def _agents(scenario: Scenario, options: RecordOptions) -> list[str]:
    if options.agents is None:
        return list(scenario.agents)
    unknown = [agent for agent in options.agents if agent not in scenario.agents]
    if unknown or not options.agents:
        raise DatasetError(
            scenario.folder,
            f"it has no agent {', '.join(unknown) or '(none were named)'}",
            f"Choose from {', '.join(scenario.agents)}",
        )
    return list(options.agents)


def _topics(agents: Sequence[str], options: RecordOptions) -> dict[str, str]:
    topics = {}
    for agent in agents:
        if options.clouds:
            topics[points_topic(agent)] = POINTS_TYPE
        topics[pose_topic(agent)] = POSE_TYPE
    topics[TRANSFORM_TOPIC] = TRANSFORM_TYPE
    if options.truth:
        topics[TRUTH_TOPIC] = MARKERS_TYPE
    return topics


def _messages(
    frame: Frame, agents: Sequence[str], stamp: int, options: RecordOptions
) -> list[RecordedMessage]:
    """Return a frame's messages: each pose before its sweep, so that a replay need not wait."""
    poses = {lidar_frame(agent): frame[agent].pose for agent in agents}
    messages = [RecordedMessage(TRANSFORM_TOPIC, serialize_transforms(poses, stamp))]
    for agent in agents:
        item = frame[agent]
        messages.append(RecordedMessage(pose_topic(agent), serialize_pose(item.pose, stamp)))
        if options.clouds:
            cloud = serialize_cloud(item.points, lidar_frame(agent), stamp)
            messages.append(RecordedMessage(points_topic(agent), cloud))
    if options.truth:
        objects = {item.object_id: item for agent in agents for item in frame[agent].objects}
        truth = serialize_truth(list(objects.values()), CLASSES, stamp)
        messages.append(RecordedMessage(TRUTH_TOPIC, truth))
    return messages


def _assemble(
    path: Path,
    storage: str,
    topics: Mapping[str, str],
    latched: frozenset[str],
    store: FrameStore,
    frames: int,
) -> int:
    """Write the bag under another name, which it loses once it is complete."""
    unfinished = store.folder / path.name
    if unfinished.exists():
        _remove_bag(unfinished)
    count = 0
    with BagWriter(unfinished, storage) as bag:
        for topic, msgtype in topics.items():
            bag.add_topic(topic, msgtype, transient_local=topic in latched)
        for index in range(frames):
            for topic, data in store.get(index):
                bag.write(topic, frame_stamp(index), data)
                count += 1
    os.replace(unfinished, path)
    return count


def _remove_bag(folder: Path) -> None:
    """Remove what an interruption left of a bag."""
    for item in folder.iterdir():
        item.unlink()
    folder.rmdir()
