# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of which sweeps are fused, and of which objects are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from quantv2x_ros.core.collector import SweepCollector
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.core.reach import MAX_DISTANCE, Reach
from quantv2x_ros.core.receiver_defaults import PEER_TIMEOUT
from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.nodes.parameters import declare

#: Makes what takes a named parameter's new values.
Setter = Callable[[str], Callable[[float], object]]


def declare_collector(
    node: Node, station: int, bundle: ModelBundle, setter: Setter
) -> SweepCollector[Any]:
    """Declare the parameters and return the collector that they describe.

    Args:
        node: whose parameters.
        station: the own one.
        bundle: the model.
        setter: of what may be changed while the node runs.
    """
    max_agents = declare(
        node,
        "max_agents",
        bundle.max_agents,
        "Most agents fused, the ego included; the nearest count.",
        low=1,
        high=bundle.max_agents,
    )
    peer_timeout = declare(
        node,
        "peer_timeout",
        PEER_TIMEOUT,
        "Oldest peer sweep that is fused, against the ego's sweep [s].",
        low=0.01,
        high=10.0,
        on_change=setter("peer_timeout"),
    )
    peer_wait = declare(
        node,
        "peer_wait",
        0.03,
        "Longest wait for peers' sweeps that are due, after the own one arrived [s].",
        low=0.0,
        high=60.0,
        on_change=setter("peer_wait"),
    )
    return SweepCollector(station, max_agents, peer_timeout, peer_wait)


def declare_reach(node: Node, grid: BevGrid) -> Reach:
    """Declare and return how far away peers may be.

    Args:
        node: whose parameter.
        grid: of all stations' maps.
    """
    reach = Reach(grid)
    reach.max_distance = declare(
        node,
        "max_peer_distance",
        MAX_DISTANCE,
        "Peers further away are not fused, nor those whose map does not meet the own [m].",
        low=1.0,
        high=10_000.0,
        on_change=lambda value: setattr(reach, "max_distance", value),
    )
    return reach


def declare_score_threshold(node: Node, setter: Setter) -> float:
    """Declare and return the score that objects must exceed; negative: the bundle knows.

    Args:
        node: whose parameter.
        setter: see `declare_collector`.
    """
    return declare(
        node,
        "score_threshold",
        -1.0,
        "Objects with a lower score are not published; -1: the bundle's threshold of each class.",
        low=-1.0,
        high=0.999,
        on_change=setter("score_threshold"),
    )
