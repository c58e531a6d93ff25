# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of every node, and what shares their defaults."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.peers.peers import PeerLimits
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.graph.graph import EXECUTABLES
from quantv2x_ros.graph.parameters.catalogue import DEFAULTS, EXAMPLES, parameter_names
from quantv2x_ros.graph.parameters.channel import ChannelParameters
from quantv2x_ros.graph.parameters.common import TrustParameters
from quantv2x_ros.graph.parameters.encoder import EncoderParameters
from quantv2x_ros.graph.parameters.fusion import FusionParameters
from quantv2x_ros.graph.settings import GraphSettings

NODES = sorted(DEFAULTS)


def test_every_node_has_its_parameters():
    assert {*DEFAULTS, "ego"} == set(EXECUTABLES)
    assert DEFAULTS.keys() == EXAMPLES.keys()
    assert parameter_names() >= {"peer_timeout", "pose_source", "station_id", "refresh_rate"}


@pytest.mark.parametrize("node", NODES)
def test_a_name_means_one_parameter_of_a_node(node):
    names = [item.name for item, _ in DEFAULTS[node].items()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("node", NODES)
def test_each_parameter_says_what_it_means_in_a_sentence(node):
    texts = [item.description for item, _ in DEFAULTS[node].items()]
    assert [text for text in texts if not (text[0].isupper() or text[0].islower())] == []
    assert [text for text in texts if not text.endswith(".")] == []


def test_nodes_without_parameters_do_what_the_algorithms_do_without_settings():
    assert FusionParameters().receiver == ReceiverSettings()
    assert EncoderParameters().sending.settings == SendSettings()
    assert TrustParameters().limits == PeerLimits()
    assert ChannelParameters().settings == ChannelSettings()


def test_the_receiver_is_told_every_setting_that_a_parameter_gives():
    changed = {
        "peer_timeout": 0.7,
        "peer_wait": 0.2,
        "tile_timeout": 0.3,
        "conceal": 0.0,
        "max_peer_distance": 50.0,
        "consistency_check": "exclude",
        "compensate_motion": False,
        "align_poses": True,
        "align_period": 2.0,
        "clock_tolerance": 0.1,
        "max_position_sigma": 1.0,
        "max_heading_sigma": 1.5,
    }
    assert FusionParameters().with_values(changed).receiver == ReceiverSettings(**changed)


@pytest.mark.parametrize(
    ("node", "values", "text"),
    [
        ("fusion", {"require_signature": True}, "key_ring names no folder of keys"),
        ("encoder", {"parity": 1.0, "max_payload_bytes": 18}, "with parity it must be more than"),
        ("channel", {"burst_start": 0.1, "burst_end": 0.0}, "burst_end"),
        ("replay", {"pose_topic": "/pose", "pose_source": "tf"}, "pose_topic"),
        ("viewer", {"stage_limits": "total"}, "stage_limits: .*STAGE=MILLISECONDS"),
    ],
)
def test_values_that_contradict_each_other_are_refused(node, values, text):
    with pytest.raises(ValueError, match=text):
        DEFAULTS[node].with_values(values)


#: Options of commands that start nodes, by the settings that they are.
OPTIONS = {
    "demo": {"scenario": "replay"},
    "soak": {"scenario": "replay"},
    "flood": {"speed": "rate"},
}
#: What they choose otherwise, and why.
OTHERWISE = {
    ("demo", "pace"): "results",  # a picture of every frame, on a computer of any speed
    ("soak", "agents"): "3",  # peers that come and go
    ("flood", "rate"): None,  # the attacker's messages
}


@pytest.mark.parametrize("command", sorted(OPTIONS))
def test_commands_that_start_nodes_have_the_nodes_defaults(command):
    function = import_module(f"quantv2x_ros.commands.{command}").command
    settings = GraphSettings()
    compared = 0
    for name, option in inspect.signature(function).parameters.items():
        setting = OPTIONS[command].get(name, name)
        if not hasattr(settings, setting):
            continue
        expected = OTHERWISE.get((command, name), getattr(settings, setting))
        if expected is not None:
            assert option.default == expected, name
            compared += 1
    assert compared >= 5
