# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The station id and the model bundle that encoder and fusion are told."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.core.peers.host_station import THIS_HOST, host_station
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.backends import BACKENDS
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.single_parameters import declare


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


def declare_station(node: Node) -> int:
    """Declare and return the node's own station id."""
    return station_of(
        node,
        declare(
            node,
            "station_id",
            THIS_HOST,
            "ETSI StationID of this station; no two stations in reach may share one. -1: this "
            "host's own, from its machine id.",
            low=THIS_HOST,
            high=2**32 - 1,
        ),
    )


def declare_engine(node: Node, bundle: ModelBundle | None) -> tuple[ModelBundle, str, int | None]:
    """Declare what the engines need, and load the bundle.

    Args:
        node: whose parameters.
        bundle: a bundle that is loaded already; the parameter ``bundle`` is then only declared.

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
