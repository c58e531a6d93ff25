# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that were given, but that no node has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from rclpy.node import Node

from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.common.rclpy_private import declared_parameters, given_parameters

#: Likeness from which on the name of a parameter for all nodes is taken for a misspelt one.
_MISSPELT = 0.8
#: Parameters that ROS declares for every node.
_OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def refuse_unknown(nodes: Sequence[Node], *, with_topics: bool = True) -> None:
    """Refuse parameters that were given but that no node of this process has.

    ROS passes over a misspelt one in silence. A parameter given without a node's name goes to all
    nodes of the process, so it is enough that one of them has it. One from a section of a file that
    is for all nodes may be another program's: it is looked at by `_note_shared`.

    Args:
        nodes: of this process, all their parameters declared. Their ``given_to_all`` names what
            only such sections gave (see `parameter_origin`).
        with_topics: whether all their topics are made, too, and with them the parameters of their
            quality of service.

    Raises:
        ParameterError: naming the parameter and those with a similar name.
    """
    known = {name for node in nodes for name in declared_parameters(node)}
    shared: dict[str, Node] = {}
    for node in nodes:
        for name in given_parameters(node):
            if name in known or (name.startswith("qos_overrides.") and not with_topics):
                continue
            if name in getattr(node, "given_to_all", ()):
                shared.setdefault(name, node)
                continue
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_listed(node)}"
            raise ParameterError(
                f"node {node.get_fully_qualified_name()} has no parameter {name}; {hint}"
            )
    if with_topics:
        for name, node in shared.items():
            _note_shared(node, name, known)


def _note_shared(node: Node, name: str, known: Collection[str]) -> None:
    """Warn of a parameter for all nodes that looks like a misspelt one of this node.

    Nothing is said of those of other nodes of this package, and of others only for debugging.
    """
    from quantv2x_ros.graph.parameters.catalogue import parameter_names  # imports much

    if name in parameter_names():
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT)
    text = f"parameter {name}, given in a section for all nodes, is none of this node's"
    if near and not name.startswith("qos_overrides."):
        node.get_logger().warning(f"{text}; did you mean {near[0]}?")
    else:
        node.get_logger().debug(text)


def _listed(node: Node) -> str:
    own = [name for name in declared_parameters(node) if not name.startswith(_OF_ROS)]
    return ", ".join(own)
