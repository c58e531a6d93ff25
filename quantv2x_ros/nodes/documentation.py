# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of parameters in docs/nodes and the parameter files in config/.

``python -m quantv2x_ros.nodes.documentation docs/nodes config`` writes them anew.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import yaml

from quantv2x_ros.graph.parameters.catalogue import DEFAULTS, EXAMPLES
from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.parameter import Parameters, ParameterValue, Specification

BEGIN, END = "<!-- parameters: made by the nodes -->", "<!-- end of parameters -->"
_LIVE = "Can be changed while the node runs."
#: Longest line of a parameter file.
_WIDTH = 96


class DocumentationError(ValueError):
    """A page or file without a place for its parameters."""


def parameter_table(defaults: Parameters) -> str:
    """Return a node's parameters as a Markdown table."""
    lines = ["| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for item, value in defaults.items():
        note = f" *{_LIVE}*" if item.live else ""
        meaning = item.description.replace("|", "/")
        lines.append(f"| `{item.name}` | {_in_words(value)} | {item.allowed} | {meaning}{note} |")
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


def parameter_section(node: str, values: Parameters) -> str:
    """Return the section of a parameter file: what the launch file does not set, with comments.

    What all nodes have comes last.

    Args:
        node: its name.
        values: what the file says.
    """
    lines = [f"/**/{node}:", "  ros__parameters:"]
    of_all = {item.name for item, _ in NodeParameters().items()}
    for item, value in sorted(values.items(), key=lambda pair: pair[0].name in of_all):
        if not item.by_launch:
            lines += [f"    # {line}" for line in _comment(item)]
            lines.append(f"    {item.name}: {_in_yaml(value)}")
    return "\n".join(lines) + "\n"


def with_section(file: str, section: str) -> str:
    """Return a parameter file with its section replaced; what stands before it stays.

    Raises:
        DocumentationError: where the file has no such section.
    """
    first = section.partition("\n")[0]
    head, begin, _ = file.partition(f"{first}\n")
    if not begin:
        raise DocumentationError(f"no section {first} in the file")
    return head + section


def _in_words(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    return f"{list(value)}" if isinstance(value, tuple) else f"{value}"


def _in_yaml(value: ParameterValue) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("...\n")
    return text.strip() if plain != "" else '""'


def _comment(item: Specification) -> list[str]:
    limits = f" Allowed: {item.allowed}." if item.allowed else ""
    live = f" {_LIVE}" if item.live else ""
    return textwrap.wrap(f"{item.description}{limits}{live}", _WIDTH - len("    # "))


def _write(pages: Path, files: Path) -> None:
    for node, defaults in DEFAULTS.items():
        page, file = pages / f"{node}.md", files / f"{node}.yaml"
        text = page.read_text(encoding="utf-8")
        page.write_text(with_table(text, parameter_table(defaults)), encoding="utf-8")
        text = file.read_text(encoding="utf-8")
        section = parameter_section(node, EXAMPLES[node])
        file.write_text(with_section(text, section), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m quantv2x_ros.nodes.documentation PAGES FILES")
    _write(Path(sys.argv[1]), Path(sys.argv[2]))
