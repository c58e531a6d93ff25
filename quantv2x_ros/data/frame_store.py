# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a recording that is being made, each in a file of its own, so that it can resume."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from quantv2x_ros.data.errors import DatasetError

_SETTINGS = "settings.json"
_LENGTHS = struct.Struct("<HI")


class RecordedMessage(NamedTuple):
    """A message for a bag.

    Attributes:
        topic: its topic.
        data: the serialized message.
    """

    topic: str
    data: bytes


class FrameStore:
    """A folder beside the bag that is to be: it survives an interruption, not the end."""

    def __init__(self, bag: Path, settings: Mapping[str, object]) -> None:
        """Open the folder, or make it.

        Args:
            bag: the bag that is to be.
            settings: what is recorded; frames of other settings are not mixed with these.

        Raises:
            DatasetError: If the folder holds frames of something else.
        """
        self.folder = bag.with_name(bag.name + ".partial")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _SETTINGS
        wanted = json.loads(json.dumps(settings))
        if not path.is_file():
            _write(path, json.dumps(wanted).encode())
        found = json.loads(path.read_bytes())
        if found != wanted:
            raise DatasetError(
                self.folder,
                f"it holds an interrupted recording of {found}, not of {wanted}",
                "Remove it, or record into another folder",
            )

    def has(self, index: int) -> bool:
        """Whether a frame is complete."""
        return self._path(index).is_file()

    def put(self, index: int, messages: Sequence[RecordedMessage]) -> None:
        """Keep a frame; whole or not at all."""
        parts = []
        for topic, data in messages:
            name = topic.encode()
            parts += [_LENGTHS.pack(len(name), len(data)), name, data]
        _write(self._path(index), b"".join(parts))

    def get(self, index: int) -> Iterator[RecordedMessage]:
        """Yield the messages of a frame."""
        data = self._path(index).read_bytes()
        place = 0
        while place < len(data):
            name_length, length = _LENGTHS.unpack_from(data, place)
            place += _LENGTHS.size
            name = data[place : place + name_length].decode()
            place += name_length
            yield RecordedMessage(name, data[place : place + length])
            place += length

    def remove(self) -> None:
        """Remove the folder, the bag being complete."""
        shutil.rmtree(self.folder)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.frame"


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears only when it is whole."""
    partial = path.with_suffix(".tmp")
    partial.write_bytes(data)
    os.replace(partial, path)
