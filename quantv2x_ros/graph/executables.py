# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check that all executables of a graph are installed, before any of them starts.

A launch that finds this out half-way leaves running what it has started by then, and the names of
those nodes meet the next launch's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from quantv2x_ros.graph.graph import PACKAGE, NodeDescription
from quantv2x_ros.graph.settings import GraphError


def require_installed(nodes: Sequence[NodeDescription], environment: Mapping[str, str]) -> None:
    """Refuse a graph of which an executable is not installed.

    Args:
        nodes: nodes of the graph.
        environment: environment variables of the launch, with AMENT_PREFIX_PATH.

    Raises:
        GraphError: naming the first package or executable that is not there, and what to do.
    """
    listed = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = [Path(item) for item in listed if item]
    for node in nodes:
        remedy = _remedy(node, environment)
        prefix = next((item for item in prefixes if _has_package(item, node.package)), None)
        if prefix is None:
            raise GraphError(
                f"package {node.package} is not installed, which brings {node.executable}: it is in"
                f" none of the {len(prefixes)} folders of AMENT_PREFIX_PATH; {remedy}"
            )
        path = prefix / "lib" / node.package / node.executable
        if not os.access(path, os.X_OK) or path.is_dir():
            raise GraphError(
                f"executable {node.executable} of package {node.package} is not installed: there is"
                f" no {path}; {remedy}"
            )


def _has_package(prefix: Path, package: str) -> bool:
    return (prefix / "share/ament_index/resource_index/packages" / package).exists()


def _remedy(node: NodeDescription, environment: Mapping[str, str]) -> str:
    if node.package == PACKAGE:
        return "build the workspace again, and source its install/setup.bash"
    distribution = environment.get("ROS_DISTRO", "DISTRO")
    package = node.package.replace("_", "-")
    return f"install it (apt: ros-{distribution}-{package}), or launch without it"
