# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of the nodes at the ends of a topic."""

from __future__ import annotations

from typing import Any

_UNKNOWN = "_NODE_NAME_UNKNOWN_"
#: What a participant is called that has told no node's name.
STRANGER = "a participant that is no ROS node"


def endpoint_name(info: Any) -> str:
    """Return the full name of an endpoint's node (rclpy's TopicEndpointInfo), or `STRANGER`."""
    if info.node_name == _UNKNOWN:
        return STRANGER
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
