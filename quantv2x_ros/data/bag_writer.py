# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes rosbag2 recordings (sqlite3 and mcap) of serialized messages, without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from quantv2x_ros.data.errors import BagError
from quantv2x_ros.data.message_types import message_types

STORAGES: Mapping[str, StoragePlugin] = {
    "mcap": StoragePlugin.MCAP,
    "sqlite3": StoragePlugin.SQLITE3,
}

_METADATA_VERSION: Literal[8] = 8  # the newest that Iron, Jazzy and Kilted all read
_FOREVER = QosTime(9223372036, 854775807)  # how rosbag2 writes "no deadline"


class BagWriter:
    """Writes a bag. Use it as a context manager: an error inside leaves an unfinished bag."""

    def __init__(self, path: str | Path, storage: str = "mcap") -> None:
        """Start a new bag.

        Args:
            path: Folder of the bag; it must not exist yet.
            storage: `mcap` or `sqlite3`.

        Raises:
            BagError: If the folder exists or the storage is unknown.
        """
        self.path = Path(path)
        if storage not in STORAGES:
            raise BagError(
                self.path, f"storage {storage!r} is unknown", f"Choose {' or '.join(STORAGES)}"
            )
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(
                self.path, version=_METADATA_VERSION, storage_plugin=STORAGES[storage]
            )
            self._writer.open()
        except WriterError as error:
            raise BagError(
                self.path, f"no bag can be made ({error})", "Remove it, or choose another path"
            ) from error

    def add_topic(self, topic: str, msgtype: str, *, transient_local: bool = False) -> None:
        """Announce a topic before its first message.

        Args:
            topic: Its name.
            msgtype: Its type, one of the ROS interfaces or of quantv2x_msgs.
            transient_local: True where late subscribers get the last message.

        Raises:
            BagError: If the type is unknown, or the topic is there already.
        """
        types = message_types()
        if msgtype not in types.fielddefs:
            raise BagError(
                self.path,
                f"the message type {msgtype!r} of topic {topic} is unknown",
                "Use a type of ROS 2's common interfaces or of quantv2x_msgs",
            )
        if topic in self._connections:
            raise BagError(self.path, f"topic {topic} is there already", "Add each topic once")
        self._connections[topic] = self._writer.add_connection(
            topic, msgtype, typestore=types, offered_qos_profiles=[_qos(transient_local)]
        )

    def write(self, topic: str, stamp: int, data: bytes) -> None:
        """Append a message.

        Args:
            topic: A topic that was added.
            stamp: Nanoseconds since the epoch.
            data: The serialized message.

        Raises:
            BagError: If the topic was not added.
        """
        if topic not in self._connections:
            raise BagError(self.path, f"topic {topic} was not added", "Call add_topic first")
        self._writer.write(self._connections[topic], stamp, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._writer.close()
        else:
            self._writer.abort()


def _qos(transient_local: bool) -> Qos:
    """Return the profile of a reliable publisher, as rosbag2 stores it."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if transient_local else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if transient_local else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
