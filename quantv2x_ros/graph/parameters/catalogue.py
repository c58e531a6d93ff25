# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of each node by the node's name."""

from __future__ import annotations

from collections.abc import Mapping

from quantv2x_ros.graph.parameters.channel import BAD_CHANNEL, ChannelParameters
from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.encoder import EncoderParameters
from quantv2x_ros.graph.parameters.fusion import FusionParameters
from quantv2x_ros.graph.parameters.radio import RadioParameters
from quantv2x_ros.graph.parameters.replay import ReplayParameters
from quantv2x_ros.graph.parameters.viewer import ViewerParameters

#: The defaults of every node; `ego` is an encoder and a fusion node.
DEFAULTS: Mapping[str, NodeParameters] = {
    "channel": ChannelParameters(),
    "encoder": EncoderParameters(),
    "fusion": FusionParameters(),
    "radio": RadioParameters(),
    "replay": ReplayParameters(),
    "viewer": ViewerParameters(),
}
#: The values in config/: of a channel a bad one, else the defaults.
EXAMPLES: Mapping[str, NodeParameters] = {**DEFAULTS, "channel": BAD_CHANNEL}


def parameter_names() -> frozenset[str]:
    """Return the names of all nodes' parameters."""
    return frozenset(
        specification.name for node in DEFAULTS.values() for specification, _ in node.items()
    )
