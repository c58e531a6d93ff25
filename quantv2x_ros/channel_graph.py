# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the simulated radio channel between the peers of a graph and everybody who listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from quantv2x_ros.graph import PACKAGE, NodeDescription, ParameterValue

#: What stations send to, before the channel, and what is heard.
SENT_TOPIC, HEARD_TOPIC = "/v2x/bev_indices_sent", "/v2x/bev_indices"


def through_channel(
    nodes: Sequence[NodeDescription], parameters: Mapping[str, ParameterValue]
) -> tuple[NodeDescription, ...]:
    """Return the nodes with their peers' messages remapped, and the channel as the last one.

    The ego hears itself without a channel, so that its own node is left as it is.

    Args:
        nodes: of a graph.
        parameters: of the channel.
    """
    remapped = [
        replace(node, remappings={**node.remappings, HEARD_TOPIC: SENT_TOPIC})
        if node.executable == "encoder"
        else node
        for node in nodes
    ]
    return (*remapped, NodeDescription(PACKAGE, "channel", "/", parameters))
