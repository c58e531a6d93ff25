# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The station id and the model bundle that encoder and fusion are told."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.peers.host_station import THIS_HOST, host_station
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.model.bundle import ModelBundle


def station_of(node: Node, station_id: int) -> int:
    """Return a node's own station id.

    Args:
        node: says so where the id is its host's.
        station_id: as its parameter; `THIS_HOST` for the host's.

    Raises:
        ValueError: for a host's kept id that is none.
    """
    if station_id != THIS_HOST:
        return station_id
    own = host_station()
    text = f"station id {own.station_id}: this host's own, from {own.source}"
    if own.is_kept:
        node.get_logger().info(text)
    else:
        node.get_logger().warning(
            f"{text}, since there is neither a machine id nor a state folder that can be written; "
            "set station_id, or XDG_STATE_HOME"
        )
    return own.station_id


def load_bundle(name: str) -> ModelBundle:
    """Return the bundle of a folder, or of a name in engines/; of an empty one the default.

    Raises:
        ValueError: for a bundle that is missing or damaged.
    """
    return ModelBundle.load(find_bundle(name))
