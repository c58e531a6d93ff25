# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of parameters in docs/nodes, from what the nodes declare.

``python -m quantv2x_ros.nodes.documentation docs/nodes`` writes them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from quantv2x_ros.nodes.common.parameters import declarations

BEGIN, END = "<!-- parameters: made by the nodes -->", "<!-- end of parameters -->"
#: Parameters whose default the model bundle gives.
_OF_THE_BUNDLE = {"max_agents": "up to the bundle's"}


class DocumentationError(ValueError):
    """A page without a place for its table."""


def parameter_table(node: Node) -> str:
    """Return a node's parameters as a Markdown table."""
    lines = ["| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for item in declarations(node):
        default = "the bundle's" if item.name in _OF_THE_BUNDLE else _value(item.default)
        allowed = _OF_THE_BUNDLE.get(item.name) or item.allowed
        note = "" if item.read_only else " *Can be changed while the node runs.*"
        meaning = item.description.replace("|", "/")
        lines.append(f"| `{item.name}` | {default} | {allowed} | {meaning}{note} |")
    return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    """Return a page with its table replaced.

    Raises:
        DocumentationError: where the page has no marks around one.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise DocumentationError(f"no {BEGIN} and {END} in the page")
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


@contextmanager
def all_nodes(bundle: str, scenario: str) -> Iterator[Mapping[str, Node]]:
    """Create every node of the package, by the name of its page.

    Args:
        bundle: folder of a model bundle.
        scenario: folder of a scenario for replay.
    """
    from quantv2x_ros.nodes.channel import ChannelNode
    from quantv2x_ros.nodes.encoder.encoder import EncoderNode
    from quantv2x_ros.nodes.fusion.fusion import FusionNode
    from quantv2x_ros.nodes.replay.replay import ReplayNode
    from quantv2x_ros.nodes.viewer import ViewerNode

    values: Mapping[str, Mapping[str, object]] = {
        "encoder": {"bundle": bundle, "threads": 1},
        "fusion": {"bundle": bundle, "threads": 1},
        "replay": {"path": scenario},
        "viewer": {"port": 0},
        "channel": {},
    }
    classes: tuple[Any, ...] = (EncoderNode, FusionNode, ReplayNode, ViewerNode, ChannelNode)
    nodes: dict[str, Node] = {}
    try:
        for (name, chosen), kind in zip(values.items(), classes, strict=True):
            overrides = [Parameter(key, value=value) for key, value in chosen.items()]
            nodes[name] = kind(parameter_overrides=overrides)
        yield nodes
    finally:
        for node in nodes.values():
            node.destroy_node()


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    return f"{value}"


def _write(folder: Path, bundle: str, scenario: str) -> None:
    with all_nodes(bundle, scenario) as nodes:
        for name, node in nodes.items():
            path = folder / f"{name}.md"
            page = path.read_text(encoding="utf-8")
            path.write_text(with_table(page, parameter_table(node)), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit("usage: python -m quantv2x_ros.nodes.documentation FOLDER [BUNDLE [SCENARIO]]")
    rclpy.init(args=[])
    _write(Path(sys.argv[1]), *[*sys.argv[2:], "", ""][:2])
    rclpy.try_shutdown()
