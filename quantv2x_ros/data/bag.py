# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings (sqlite3 and mcap) without a ROS installation, as raw CDR messages.

The bytes are those that rclpy publishes and takes as serialized messages, so a replay needs no
conversion. The library is rosbags.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability
from rosbags.rosbag2 import Reader

from quantv2x_ros.data.bag_files import fault_of, refuse_unreadable, storage_files
from quantv2x_ros.data.errors import BagError

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


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
    """Reads a bag: a folder, or a single `.mcap` or `.db3` file.

    A folder without `metadata.yaml`, which a recorder writes when it ends, is read file by file.
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
        refuse_unreadable(self.path)
        self._refuse_cut()
        self._readers: list[Reader] = []
        try:
            for part in self._parts():
                self._readers.append(Reader(part))
                self._readers[-1].open()
        except Exception as error:  # the storages raise what their libraries raise
            self.close()
            raise self._damaged(error) from error
        topics: dict[str, BagTopic] = {}
        for connection in (c for reader in self._readers for c in reader.connections):
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
                _is_transient_local(connection)
                or (earlier is not None and earlier.transient_local),
            )
        self.topics = topics
        full = [reader for reader in self._readers if reader.message_count]
        self.start = min((reader.start_time for reader in full), default=0)
        # the library's end lies just behind
        self.end = max((reader.end_time - 1 for reader in full), default=0)

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
        parts = []
        for reader in self._readers:
            wanted = [c for c in reader.connections if topics is None or c.topic in topics]
            if wanted:  # the library would take an empty list for all topics
                parts.append(self._iterate(reader, wanted))
        return heapq.merge(*parts, key=lambda message: message.stamp)

    def close(self) -> None:
        """Close the files; closing twice does no harm."""
        for reader in self._readers:
            if reader.is_open:
                reader.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parts(self) -> list[Path]:
        """Return what is read one by one: the files of a folder that has no list of them."""
        if self.path.is_file() or (self.path / "metadata.yaml").is_file():
            return [self.path]
        return storage_files(self.path)

    def _refuse_cut(self) -> None:
        """Refuse files of SQLite without their end, which its newer versions read all the same."""
        for file in storage_files(self.path) if self.path.is_dir() else ():
            fault = fault_of(file) if file.suffix == ".db3" else None
            if fault is not None:
                problem = f"it cannot be read as rosbag2 ({file.name} {fault.problem})"
                raise BagError(self.path, problem, fault.remedy)

    def _iterate(self, reader: Reader, connections: list[Connection]) -> Iterator[BagMessage]:
        messages = reader.messages(connections)
        while True:
            try:
                connection, stamp, data = next(messages)
            except StopIteration:
                return
            except Exception as error:  # see __init__
                raise self._damaged(error) from error
            if data[:4] == _ZSTD_MAGIC:  # CDR begins with 0
                raise BagError(
                    self.path,
                    "its messages are compressed one by one, which only its metadata.yaml tells",
                    "Restore metadata.yaml, and give the folder",
                )
            yield BagMessage(connection.topic, stamp, connection.msgtype, bytes(data))

    def _damaged(self, error: Exception) -> BagError:
        """Say what ails the bag, if it can be found out; else what the library says."""
        problem = "; ".join(str(error).splitlines()) or type(error).__name__
        remedy = "Copy the bag again"
        if self.path.is_dir():
            for file in (self.path / "metadata.yaml", *storage_files(self.path)):
                fault = fault_of(file) if file.is_file() else None
                if fault is not None and (file.suffix != ".yaml" or "LFS" in fault.problem):
                    problem, remedy = f"{file.name} {fault.problem}", fault.remedy
                    break
            else:
                if (self.path / "metadata.yaml").is_file():
                    remedy = (
                        "Copy the bag again, or let `ros2 bag reindex` write its metadata.yaml anew"
                    )
        return BagError(self.path, f"it cannot be read as rosbag2 ({problem})", remedy)


def _is_transient_local(connection: Connection) -> bool:
    extension = connection.ext
    return isinstance(extension, ConnectionExtRosbag2) and any(
        qos.durability is QosDurability.TRANSIENT_LOCAL for qos in extension.offered_qos_profiles
    )
