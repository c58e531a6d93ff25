# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes, pages and parameter files say the same of every parameter.

Where a page or file is outdated: ``python -m quantv2x_ros.nodes.documentation docs/nodes config``.
"""

from __future__ import annotations

import re

import pytest
import yaml

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.parameter import Parameter

from quantv2x_ros.graph.graph import EXECUTABLES
from quantv2x_ros.graph.parameters.catalogue import DEFAULTS, EXAMPLES
from quantv2x_ros.nodes.channel import ChannelNode
from quantv2x_ros.nodes.common.rclpy_private import declared_parameters
from quantv2x_ros.nodes.documentation import (
    DocumentationError,
    parameter_section,
    parameter_table,
    with_section,
    with_table,
)
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from quantv2x_ros.nodes.replay.replay import ReplayNode
from quantv2x_ros.nodes.viewer import ViewerNode

KINDS = {
    "channel": ChannelNode,
    "encoder": EncoderNode,
    "fusion": FusionNode,
    "replay": ReplayNode,
    "viewer": ViewerNode,
}
NODES = sorted(KINDS)
#: What ROS declares by itself.
OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides.")


@pytest.fixture(scope="module")
def declared(bundle_folder, scenario_folder):
    """Of every node, each parameter that it has declared: descriptor and value."""
    import rclpy

    given = {
        "encoder": {"bundle": str(bundle_folder), "threads": 1},
        "fusion": {"bundle": str(bundle_folder), "threads": 1},
        "replay": {"path": str(scenario_folder)},
        "viewer": {"port": 0},
    }
    rclpy.init(args=["test"])
    found = {}
    for name, kind in KINDS.items():
        values = given.get(name, {})
        node = kind(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
        names = [n for n in declared_parameters(node) if not n.startswith(OF_ROS)]
        found[name] = {
            n: (node.describe_parameter(n), node.get_parameter(n).value)
            for n in names
            if n not in values
        }
        node.destroy_node()
    rclpy.try_shutdown()
    return found, given


@pytest.mark.parametrize("node", NODES)
def test_a_node_declares_what_its_dataclass_says(declared, node):
    found, given = declared
    specifications = {item.name: (item, value) for item, value in DEFAULTS[node].items()}
    assert found[node].keys() == specifications.keys() - given.get(node, {}).keys()
    for name, (descriptor, value) in found[node].items():
        item, default = specifications[name]
        assert value == (list(default) if isinstance(default, tuple) else default)
        assert (descriptor.description, descriptor.read_only) == (item.description, not item.live)
        limits = [*descriptor.integer_range, *descriptor.floating_point_range]
        bounds = [] if item.low is None else [(item.low, item.high)]
        assert [(limit.from_value, limit.to_value) for limit in limits] == bounds
        assert all(choice in descriptor.additional_constraints for choice in item.choices)


@pytest.mark.parametrize("node", NODES)
def test_a_nodes_page_has_the_table_of_its_parameters(repository, node):
    page = (repository / "docs" / "nodes" / f"{node}.md").read_text(encoding="utf-8")
    assert with_table(page, parameter_table(DEFAULTS[node])) == page


@pytest.mark.parametrize("node", NODES)
def test_the_parameter_file_has_every_parameter_with_its_default_and_meaning(repository, node):
    text = (repository / "config" / f"{node}.yaml").read_text(encoding="utf-8")
    assert with_section(text, parameter_section(node, EXAMPLES[node])) == text
    content = yaml.safe_load(text)
    assert content.keys() == {f"/**/{node}"}
    written = content[f"/**/{node}"]["ros__parameters"]
    items = {item.name: (item, value) for item, value in EXAMPLES[node].items()}
    assert written.keys() == {name for name, (item, _) in items.items() if not item.by_launch}
    comments = " ".join(line.strip()[2:] for line in text.splitlines() if line.startswith("    # "))
    for name, value in written.items():
        item, expected = items[name]
        assert value == (list(expected) if isinstance(expected, tuple) else expected)
        assert type(value) is not int or type(expected) is int, "ROS fixes the type"
        assert item.description in comments


def test_the_parameter_files_are_examples_of_what_nodes_do_by_themselves():
    assert {node for node in NODES if EXAMPLES[node] != DEFAULTS[node]} == {"channel"}


def test_every_executable_has_its_page(repository):
    pages = {path.stem for path in (repository / "docs" / "nodes").glob("*.md")}
    assert pages == set(EXECUTABLES)


@pytest.mark.parametrize("node", NODES)
def test_a_page_says_all_that_a_user_looks_for(repository, node):
    page = (repository / "docs" / "nodes" / f"{node}.md").read_text(encoding="utf-8")
    for heading in ("Publications", "Parameters", "Diagnostics"):
        assert f"\n## {heading}\n" in page
    assert "\n## Subscriptions\n" in page or node == "replay"


def test_a_page_without_a_place_for_its_table_is_refused():
    with pytest.raises(DocumentationError):
        with_table("# node\n", "| |")
    with pytest.raises(DocumentationError, match="/viewer"):
        with_section("# viewer\n", parameter_section("viewer", DEFAULTS["viewer"]))


def test_the_pages_name_every_message_and_every_key_of_a_manifest(repository, bundle_folder):
    messages = (repository / "docs" / "messages.md").read_text(encoding="utf-8")
    for path in (repository / "quantv2x_msgs" / "msg").glob("*.msg"):
        assert f"[{path.stem}](" in messages
    bundle = (repository / "docs" / "bundle.md").read_text(encoding="utf-8")
    manifest = yaml.safe_load((bundle_folder / "manifest.yaml").read_text(encoding="utf-8"))
    assert [key for key in manifest if f"`{key}`" not in bundle] == []
    assert [path for path in manifest["files"] if f"`{path}`" not in bundle] == []


def test_no_link_between_pages_is_dead(repository):
    pages = [*(repository / "docs").rglob("*.md"), *repository.glob("*.md")]
    dead = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")
    assert dead == []
