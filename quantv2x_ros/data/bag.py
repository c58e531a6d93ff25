# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings (sqlite3 and mcap) without a ROS installation, as raw CDR messages.

The bytes are those that rclpy publishes and takes as serialized messages, so a replay needs no
conversion. The library is rosbags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability
from rosbags.rosbag2 import Reader

from quantv2x_ros.data.bag_writer import STORAGES, BagWriter
from quantv2x_ros.data.errors import BagError

__all__ = ["STORAGES", "BagError", "BagMessage", "BagReader", "BagTopic", "BagWriter"]


class BagMessage(NamedTuple):
    """One recorded message.

    Attributes:
        topic: Its topic.
        stamp: When it was received, nanoseconds since the epoch.
        msgtype: Its type, such as `sensor_msgs/msg/PointCloud2`.
        data: The serialized message (CDR with its encapsulation header).
    """

    topic: str
    stamp: int
    msgtype: str
    data: bytes


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag.

    Attributes:
        name: Its name.
        msgtype: Type of its messages.
        count: Number of its messages.
        transient_local: True if its publisher kept messages for late subscribers.
    """

    name: str
    msgtype: str
    count: int
    transient_local: bool


class BagReader:
    """Reads a bag: a folder with `metadata.yaml`, or a single `.mcap` or `.db3` file.

    Use it as a context manager.

    Attributes:
        path: The bag.
        topics: Topics by name.
        start: Stamp of the first message, nanoseconds since the epoch; 0 in an empty bag.
        end: Stamp of the last message.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the bag.

        Raises:
            BagError: If there is no bag, or it is damaged.
        """
        self.path = Path(path)
        if not self.path.exists():
            raise BagError(self.path, "there is no such bag", "Check the path")
        if self.path.is_dir() and not (self.path / "metadata.yaml").is_file():
            raise BagError(
                self.path,
                "the folder has no metadata.yaml, so it is no finished rosbag2 recording",
                "Give the bag's folder, or run `ros2 bag reindex` on it",
            )
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except Exception as error:  # the storages raise what their libraries raise
            raise self._damaged(error) from error
        topics: dict[str, BagTopic] = {}
        for connection in self._reader.connections:
            earlier = topics.get(connection.topic)
            if earlier is not None and earlier.msgtype != connection.msgtype:
                self.close()
                raise BagError(
                    self.path,
                    f"topic {connection.topic} has messages of two types, {earlier.msgtype} and"
                    f" {connection.msgtype}",
                    "Record them apart",
                )
            topics[connection.topic] = BagTopic(
                connection.topic,
                connection.msgtype,
                connection.msgcount + (earlier.count if earlier else 0),
                _is_transient_local(connection),
            )
        self.topics = topics
        empty = self._reader.message_count == 0
        self.start = 0 if empty else self._reader.start_time
        self.end = 0 if empty else self._reader.end_time - 1  # the library's lies just behind

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Read the messages in the order of their stamps.

        Args:
            topics: Only these topics; all where `None`.

        Raises:
            BagError: If a topic is not in the bag, or the bag turns out to be damaged.
        """
        unknown = sorted(set(topics or ()) - self.topics.keys())
        if unknown:
            raise BagError(
                self.path,
                f"it has no topic {', '.join(unknown)}",
                f"Choose from {', '.join(sorted(self.topics)) or 'none: the bag is empty'}",
            )
        wanted = [c for c in self._reader.connections if topics is None or c.topic in topics]
        return self._iterate(wanted)

    def close(self) -> None:
        """Close the files; closing twice does no harm."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _iterate(self, connections: list[Connection]) -> Iterator[BagMessage]:
        if not connections:  # the library would take an empty list for all topics
            return
        messages = self._reader.messages(connections)
        while True:
            try:
                connection, stamp, data = next(messages)
            except StopIteration:
                return
            except Exception as error:  # see __init__
                raise self._damaged(error) from error
            yield BagMessage(connection.topic, stamp, connection.msgtype, bytes(data))

    def _damaged(self, error: Exception) -> BagError:
        problem = "; ".join(str(error).splitlines()) or type(error).__name__
        return BagError(
            self.path,
            f"it cannot be read as rosbag2 ({problem})",
            "Copy the bag again, or repair it with `ros2 bag reindex`",
        )


def _is_transient_local(connection: Connection) -> bool:
    extension = connection.ext
    return isinstance(extension, ConnectionExtRosbag2) and any(
        qos.durability is QosDurability.TRANSIENT_LOCAL for qos in extension.offered_qos_profiles
    )
