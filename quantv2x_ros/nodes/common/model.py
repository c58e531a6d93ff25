# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that encoder and fusion share: station id, model bundle and engine."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.peers.host_station import THIS_HOST, host_station
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.backends import BACKENDS
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.parameters import declare


def declare_station(node: Node) -> int:
    """Declare and return the node's own station id.

    Raises:
        ValueError: for a value that is none, or a host's kept id that is none.
    """
    station = declare(
        node,
        "station_id",
        THIS_HOST,
        "ETSI StationID of this station; no two stations in reach may share one. -1: this host's "
        "own, from its machine id.",
        low=THIS_HOST,
        high=2**32 - 1,
    )
    if station != THIS_HOST:
        return station
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


def declare_engine(node: Node, bundle: ModelBundle | None) -> tuple[ModelBundle, str, int | None]:
    """Declare the parameters of the engines, and load the bundle.

    Args:
        node: node that declares the parameters.
        bundle: bundle that is loaded already; the parameter ``bundle`` is then only declared.

    Returns:
        The bundle, the backend and the number of threads (None: one a core).

    Raises:
        ValueError: for a bundle that is missing or damaged, or an unknown backend.
    """
    name = declare(
        node,
        "bundle",
        "",
        "Folder of a model bundle, or the name of one in engines/; empty for the default one.",
    )
    backend = declare(
        node,
        "backend",
        "auto",
        "Engine: auto takes tensorrt where there is an NVIDIA GPU, else openvino.",
        choices=BACKENDS,
    )
    threads = declare(
        node, "threads", 0, "Threads of a CPU engine; 0: one a core.", low=0, high=256
    )
    return bundle or ModelBundle.load(find_bundle(name)), backend, threads or None


def declare_build_only(node: Node) -> bool:
    """Declare and return whether the node ends once its engines are built."""
    return declare(
        node,
        "build_only",
        False,
        "Build the engines into the cache, warm up, and end; for the first start on a machine.",
    )
