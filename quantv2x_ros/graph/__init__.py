# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The graph of nodes: which there are, with which parameters, as processes."""

from quantv2x_ros.graph.graph import NodeDescription
from quantv2x_ros.graph.processes import ProcessGraph, ProcessGraphError
from quantv2x_ros.graph.replay_source import ReplaySource, ReplaySourceError
from quantv2x_ros.graph.settings import GraphError, GraphSettings

__all__ = [
    "GraphError",
    "GraphSettings",
    "NodeDescription",
    "ProcessGraph",
    "ProcessGraphError",
    "ReplaySource",
    "ReplaySourceError",
]
