# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What Foxglove needs of a recording: complete schemas, and the topics of the committed layout."""

from __future__ import annotations

import json
import re

import pytest
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from quantv2x_ros.data.recording import record_scenario
from quantv2x_ros.data.scenario import Scenario

BUILTIN = re.compile(
    r"(bool|byte|char|float(32|64)|u?int(8|16|32|64)|w?string(<=\d+)?)(\[[^\]]*\])?"
)


@pytest.fixture
def layout(repository):
    return json.loads((repository / "layouts" / "foxglove.json").read_text(encoding="utf-8"))


def panels(place):
    """The panels' names in the tree of splits."""
    if isinstance(place, str):
        return [place]
    return panels(place["first"]) + panels(place["second"])


def undefined_types(schema):
    """Types of fields that an MCAP schema of the encoding ros2msg uses, but does not define."""
    parts = re.split(r"^=+$\n", schema, flags=re.MULTILINE)
    defined = {re.match(r"MSG: (\S+)", part).group(1) for part in parts[1:]}
    used = set()
    for part in parts:
        for line in part.splitlines():
            kind, _, rest = line.partition("#")[0].strip().partition(" ")
            if kind and rest and kind != "MSG:" and not BUILTIN.fullmatch(kind):
                used.add(kind.partition("[")[0].replace("/msg/", "/"))
    return {name for name in used if name not in {d.replace("/msg/", "/") for d in defined}}


def test_every_schema_defines_all_that_it_uses(tmp_path, small_scenario):
    record_scenario(Scenario.open(small_scenario(frames=1)), tmp_path / "bag")
    with Reader(tmp_path / "bag") as bag:
        assert {c.topic for c in bag.connections} >= {"/tf", "/ground_truth", "/agent_1/points"}
        for connection in bag.connections:
            assert connection.msgdef.format == MessageDefinitionFormat.MSG
            assert undefined_types(connection.msgdef.data) == set(), connection.topic


def test_a_schema_that_lacks_a_type_would_be_found():
    assert undefined_types("std_msgs/Header header\nint32[] values\n") == {"std_msgs/Header"}


def test_the_layout_shows_what_is_recorded(layout, tmp_path, small_scenario):
    scene = layout["configById"]["3D!scene"]
    record_scenario(Scenario.open(small_scenario(frames=1)), tmp_path / "bag")
    with Reader(tmp_path / "bag") as bag:
        recorded = {c.topic for c in bag.connections}
    shown = {topic for topic, style in scene["topics"].items() if style["visible"]}
    assert recorded - shown - {"/tf"} == {t for t in recorded if t.endswith("/pose")}
    assert scene["followTf"] == "agent_1/lidar"


def test_every_panel_of_the_layout_has_its_settings(layout):
    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])


def test_each_agents_cloud_keeps_a_colour_of_its_own(layout):
    topics = layout["configById"]["3D!scene"]["topics"]
    clouds = [style for topic, style in topics.items() if topic.endswith("/points")]
    assert {style["colorMode"] for style in clouds} == {"flat"}
    assert len({style["flatColor"] for style in clouds}) == len(clouds)
    # where no field is named, the application takes one and colours by it, whatever the mode
    assert {style["colorField"] for style in clouds} == {"intensity"}
