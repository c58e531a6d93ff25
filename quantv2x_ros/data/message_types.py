# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message types for use without ROS: the common interfaces and quantv2x_msgs."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, cast

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from quantv2x_ros.data.errors import DatasetError

PACKAGE = "quantv2x_msgs"


@functools.lru_cache(maxsize=1)
def message_types() -> Typestore:
    """Return the types of ROS 2 Kilted's common interfaces and of quantv2x_msgs.

    Raises:
        DatasetError: If the definitions of quantv2x_msgs are not found.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    types = {}
    for path in sorted(_definitions().glob("*.msg")):
        text = path.read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def serialize(msgtype: str, message: object) -> bytes:
    """Return a message of the type store as CDR bytes."""
    return bytes(message_types().serialize_cdr(message, msgtype))


def deserialize(msgtype: str, data: bytes) -> Any:
    """Return CDR bytes as a message object with the type's fields.

    Raises:
        DatasetError: If the bytes are no such message.
    """
    try:
        return cast(Any, message_types().deserialize_cdr(data, msgtype))
    except Exception as error:  # the generated decoders raise whatever the bytes provoke
        raise DatasetError(
            msgtype, f"{len(data)} bytes are no such message ({error})", "Record it anew"
        ) from error


def _definitions() -> Path:
    """Find the `.msg` files: in a ROS workspace that is sourced, or in this checkout."""
    prefixes = [Path(item) for item in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    installed = [prefix / "share" / PACKAGE / "msg" for prefix in prefixes]
    checkout = Path(__file__).resolve().parents[2] / PACKAGE / "msg"
    for folder in (*installed, checkout):
        if any(folder.glob("*.msg")):
            return folder
    raise DatasetError(
        PACKAGE,
        f"its message definitions are neither in {checkout} nor in an entry of AMENT_PREFIX_PATH",
        "Build the package with colcon and source the workspace",
    )
