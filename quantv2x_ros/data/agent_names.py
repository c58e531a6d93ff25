# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the name of an agent in a dataset to its names on the air and in ROS."""

from __future__ import annotations

import re
import zlib

_INFRASTRUCTURE_BASE = 1_000_000_000
_TEXT_BASE = 2_000_000_000
_ROS_TOKEN = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")


def agent_namespace(agent: str) -> str:
    """Return the ROS namespace of a dataset's agent, without slashes.

    Args:
        agent: The agent's folder name, such as `"1"` or `"-1"`.

    Returns:
        `agent_1` for `"1"`, `agent_m1` for `"-1"` (ROS names know no minus); characters that ROS
        does not allow become `x` and their code in hexadecimal.
    """
    token = re.sub(r"^-(?=\d)", "m", agent)
    if not _ROS_TOKEN.fullmatch(token):
        token = re.sub(r"[^A-Za-z0-9]", lambda match: f"x{ord(match[0]):02x}", token)
    return f"agent_{token}"


def is_roadside(station: int) -> bool:
    """Tell whether a station id is that of a dataset's infrastructure; see `station_id`."""
    return _INFRASTRUCTURE_BASE < station < _TEXT_BASE


def station_id(agent: str) -> int:
    """Return the ETSI StationID (an unsigned 32-bit number) of a dataset's agent.

    Vehicles keep their number, `"1"` → 1. Infrastructure, negative in the datasets, follows from
    a thousand million on, `"-1"` → 1000000001. A name that is no number gets a number from two
    thousand million on, by its CRC-32.

    Args:
        agent: The agent's folder name.
    """
    if re.fullmatch(r"-?\d{1,9}", agent):
        number = int(agent)
        return number if number >= 0 else _INFRASTRUCTURE_BASE - number
    return _TEXT_BASE + zlib.crc32(agent.encode()) % _TEXT_BASE
