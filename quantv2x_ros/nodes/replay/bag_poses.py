# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The poses of a bag's agents: from topics of several types, or from its transforms."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import (
    PoseStamped,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
)
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from quantv2x_ros.core.geometry.pose import Matrix, PoseError, matrix_from_quaternion
from quantv2x_ros.core.geometry.pose_buffer import PoseUnavailableError
from quantv2x_ros.core.geometry.transform_history import TransformHistory
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_topics import (
    ODOMETRY_TYPE,
    STAMPED_TYPE,
    STATIC_TOPIC,
    TRANSFORM_TOPICS,
    AgentTopics,
)
from quantv2x_ros.data.message_types import deserialize
from quantv2x_ros.data.recorded_messages import TRANSFORM_TYPE
from quantv2x_ros.nodes.common.conversions import pose_to_message, time_message
from quantv2x_ros.nodes.replay.bag_events import read_frame_id, read_stamp
from quantv2x_ros.nodes.replay.playlist import Event

#: A sweep waits so long, played time, for the transform after it; nanoseconds.
_PATIENCE = 1_000_000_000


class NoTransformError(ValueError):
    """Transforms of a bag that give a sweep no pose.

    Attributes:
        frame: name of the sweep's frame.
        may_come: whether a later message may give the transform.
    """

    def __init__(self, text: str, frame: str, may_come: bool) -> None:
        super().__init__(text)
        self.frame = frame
        self.may_come = may_come


class BagPoses:
    """Gives every agent the poses that its encoder expects."""

    def __init__(self, map_frame: str, warn: Callable[[str], object]) -> None:
        """Start without agents.

        Args:
            map_frame: name of the frame that poses from transforms lead to.
            warn: called with a sentence about sweeps that have no pose.
        """
        self._map_frame = map_frame
        self._warn = warn
        self._converters: dict[str, Callable[[bytes], bytes]] = {}
        self._poses: dict[str, str] = {}
        self._static: list[bytes] = []

    def add_agent(self, topics: AgentTopics, points: str, pose: str) -> None:
        """Add an agent.

        Args:
            topics: topics of the agent in the bag.
            points: topic of its clouds when played.
            pose: topic of its poses when played.
        """
        if not topics.pose:
            self._poses[points] = pose
        elif topics.pose_type == ODOMETRY_TYPE:
            self._converters[pose] = pose_of_odometry
        elif topics.pose_type == STAMPED_TYPE:
            self._converters[pose] = pose_with_covariance

    def transform_topics(self, bag: BagReader) -> list[str]:
        """Return the topics with transforms that are needed of a bag, but for the static ones.

        Those are read now: they hold from the beginning, whenever they were recorded.
        """
        topics = (bag.topics.get(name) for name in TRANSFORM_TOPICS if self._poses)
        names = {topic.name for topic in topics if topic and topic.msgtype == TRANSFORM_TYPE}
        if STATIC_TOPIC in names:
            self._static = [message.data for message in bag.messages([STATIC_TOPIC])]
        return sorted(names - {STATIC_TOPIC})

    def complete(self, events: Iterable[Event], offset_ns: int) -> Iterator[Event]:
        """Yield events with the poses that they lack, each before its sweep.

        Args:
            events: events in order of time; those with transforms are not yielded.
            offset_ns: difference of their stamps to those in the bag, nanoseconds; transforms have
                none.

        Raises:
            PoseUnavailableError: at the end, where no sweep had a pose, with the reason.
        """
        converted = (self._converted(event) for event in events)
        if not self._poses:
            yield from converted
            return
        transformed = _Transformed(self._poses, self._map_frame, self._warn, offset_ns)
        yield from transformed.run(converted, self._static)

    def _converted(self, event: Event) -> Event:
        convert = self._converters.get(event.topic)
        return event if convert is None else replace(event, message=convert(event.message))


class _Transformed:
    """One reading of a bag whose poses come from its transforms."""

    def __init__(
        self,
        poses: dict[str, str],
        map_frame: str,
        warn: Callable[[str], object],
        offset_ns: int,
    ) -> None:
        self._poses = poses
        self._map_frame = map_frame
        self._warn = warn
        self._offset_ns = offset_ns
        self._history = TransformHistory()
        self._waiting: deque[Event] = deque()
        self._found = 0
        self._failure: NoTransformError | None = None
        self._complained: set[str] = set()

    def run(self, events: Iterable[Event], static: Iterable[bytes]) -> Iterator[Event]:
        for data in static:
            self._learn(data, is_static=True)
        for event in events:
            if event.topic in TRANSFORM_TOPICS:
                self._learn(event.message)
            else:
                self._waiting.append(event)
            yield from self._ready(event.time_ns - _PATIENCE)
        yield from self._ready(None)
        if self._failure is not None and not self._found:
            raise self._failure

    def _learn(self, data: bytes, is_static: bool = False) -> None:
        for item in deserialize(TRANSFORM_TYPE, data).transforms:
            place, turn = item.transform.translation, item.transform.rotation
            stamp = item.header.stamp.sec * 1_000_000_000 + item.header.stamp.nanosec
            parent, child = item.header.frame_id, item.child_frame_id
            try:
                matrix = matrix_from_quaternion(
                    (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
                )
            except PoseError as error:
                self._complain(child, f"tf of {child} in {parent}: {error}; it is passed over")
                continue
            self._history.add(parent, child, stamp, matrix, is_static)

    def _ready(self, deadline_ns: int | None) -> Iterator[Event]:
        """Yield what need not wait any longer; all, without a deadline."""
        while self._waiting:
            event = self._waiting[0]
            pose = self._poses.get(event.topic)
            if pose is not None:
                try:
                    yield self._pose_of(event, pose)
                    self._found += 1
                except NoTransformError as error:
                    is_late = deadline_ns is None or event.time_ns < deadline_ns
                    if error.may_come and not is_late:
                        return
                    self._failure = self._failure or error
                    self._complain(error.frame, f"{error}; such sweeps are played without pose")
            self._waiting.popleft()
            yield event

    def _pose_of(self, event: Event, topic: str) -> Event:
        """Return the pose of a sweep.

        Raises:
            NoTransformError: where it is not known, or not yet.
        """
        frame, stamp_ns = read_frame_id(event.message), read_stamp(event.message)
        try:
            matrix = self._history.lookup(self._map_frame, frame, stamp_ns - self._offset_ns)
        except PoseUnavailableError as error:
            raise NoTransformError(self._reason(frame, error), frame, error.may_come) from error
        header = Header(stamp=time_message(stamp_ns), frame_id=self._map_frame)
        return Event(event.time_ns, topic, serialize(pose_message(matrix, header)))

    def _reason(self, frame: str, error: PoseUnavailableError) -> str:
        root = self._history.root(frame)
        reason = f"tf of the bag: {error}"
        if root not in (frame, self._map_frame):
            reason += f"; if {root} is the map of all stations, set map_frame to {root}"
        return reason

    def _complain(self, frame: str, text: str) -> None:
        """Warn, once for each frame."""
        if frame not in self._complained:
            self._complained.add(frame)
            self._warn(text)


def pose_of_odometry(data: bytes) -> bytes:
    """Return a serialized PoseWithCovarianceStamped of a serialized Odometry."""
    message = deserialize_message(data, Odometry)
    return serialize(PoseWithCovarianceStamped(header=message.header, pose=message.pose))


def pose_with_covariance(data: bytes) -> bytes:
    """Return a serialized PoseWithCovarianceStamped, covariance unknown, of a PoseStamped."""
    message = deserialize_message(data, PoseStamped)
    pose = PoseWithCovariance(pose=message.pose, covariance=np.zeros(36))
    return serialize(PoseWithCovarianceStamped(header=message.header, pose=pose))


def pose_message(matrix: Matrix, header: Header) -> PoseWithCovarianceStamped:
    """Return a (4, 4) pose, covariance unknown, as a message."""
    pose = PoseWithCovariance(pose=pose_to_message(matrix), covariance=np.zeros(36))
    return PoseWithCovarianceStamped(header=header, pose=pose)


def serialize(message: Any) -> bytes:
    """Return a message as CDR bytes."""
    return bytes(serialize_message(message))
