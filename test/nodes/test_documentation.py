# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pages and parameter files say what the nodes declare, so that they cannot rot.

Where a table is outdated: ``python -m quantv2x_ros.nodes.documentation docs/nodes``.
"""

from __future__ import annotations

import re

import pytest
import yaml

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_ros.graph.graph import EXECUTABLES
from quantv2x_ros.nodes.common.parameter_origin import known_to_this_package
from quantv2x_ros.nodes.common.parameters import declarations
from quantv2x_ros.nodes.documentation import (
    DocumentationError,
    all_nodes,
    parameter_table,
    with_table,
)

NODES = ("channel", "encoder", "fusion", "replay", "viewer")
OF_THE_BUNDLE = {"max_agents"}
BAG_TOPICS = {"points_topic", "pose_topic", "pose_source"}
#: What the launch file sets, and a parameter file therefore leaves alone.
OF_THE_LAUNCH = {
    "encoder": {"bundle", "backend", "threads", "station_id", "build_only"},
    "fusion": {"bundle", "backend", "threads", "station_id", "build_only", *OF_THE_BUNDLE},
    "replay": {"path", "agents", "rate", "pace", "loop", "indices", *BAG_TOPICS},
    "viewer": {"port", "peer_points"},
    "channel": set(),
}


@pytest.fixture(scope="module")
def declared(bundle_folder, scenario_folder):
    """The declarations and the table of every node."""
    import rclpy

    rclpy.init(args=["test"])
    with all_nodes(str(bundle_folder), str(scenario_folder)) as nodes:
        found = {name: (declarations(node), parameter_table(node)) for name, node in nodes.items()}
    rclpy.try_shutdown()
    return found


@pytest.mark.parametrize("node", NODES)
def test_a_nodes_page_has_the_table_of_what_it_declares(declared, repository, node):
    page = (repository / "docs" / "nodes" / f"{node}.md").read_text(encoding="utf-8")
    assert with_table(page, declared[node][1]) == page


@pytest.mark.parametrize("node", NODES)
def test_every_parameter_is_known_to_the_other_nodes(declared, node):
    assert {item.name for item in declared[node][0]} <= known_to_this_package()


@pytest.mark.parametrize("node", NODES)
def test_the_parameter_file_has_every_parameter_and_its_default(declared, repository, node):
    text = (repository / "config" / f"{node}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert content.keys() == {f"/**/{node}"}
    written = content[f"/**/{node}"]["ros__parameters"]
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    assert [line for line in lines if " # " not in line] == [], "each says what it means"
    left = OF_THE_LAUNCH[node] | {"autostart"}
    wanted = {i.name: i.default for i in declared[node][0] if i.name not in left}
    if node == "channel":  # an example of a bad one
        assert written.keys() == wanted.keys()
    else:
        assert written == wanted


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
