# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A graph whose peers are heard through the simulated channel."""

from __future__ import annotations

from pathlib import Path

import yaml

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.graph.graph import HEARD_TOPIC, SENT_TOPIC, NodeDescription, through_channel

NODES = (
    NodeDescription("quantv2x_ros", "ego", "/"),
    NodeDescription("quantv2x_ros", "encoder", "/agent_2", remappings={"points": "/lidar"}),
    NodeDescription("quantv2x_ros", "replay", "/", ends_graph=True),
)


def test_peers_send_into_the_channel_and_nothing_else_changes():
    ego, peer, replay, channel = through_channel(NODES, {"loss": 0.2})
    assert (ego, replay) == (NODES[0], NODES[2])
    assert peer.remappings == {"points": "/lidar", HEARD_TOPIC: SENT_TOPIC}
    assert (channel.executable, channel.parameters) == ("channel", {"loss": 0.2})
    assert not channel.ends_graph


def test_the_example_file_sets_every_setting_of_the_channel():
    path = Path(__file__).resolve().parents[2] / "config" / "channel.yaml"
    values = yaml.safe_load(path.read_text())["/**/channel"]["ros__parameters"]
    settings = {key: values[key] for key in ChannelSettings.__dataclass_fields__}
    of_every_node = {"min_rate", "stage_limits", "warn_after", "error_after", "clear_after"}
    assert set(values) - set(settings) - of_every_node == {"seed", "diagnostics_period"}
    assert ChannelSettings(**settings) != ChannelSettings()
