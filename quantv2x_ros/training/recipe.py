# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of the default bundle; `config/training/default/` has its training."""

from __future__ import annotations

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork

#: V2X-Real's range in x and y. Two metres more below, so that a sensor on a pole of 5 m sees the
#: ground; one pillar in z, as published.
DEFAULT_GRID = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))

#: The agent that sees something outweighs those that do not (docs/network.md, "Fusion weights").
DEFAULT_SCORE_GAIN = 6.0


def default_network(codebook: bool) -> QuantV2XNetwork:
    """Return the untrained network of the default bundle."""
    config = NetworkConfig(
        grid=DEFAULT_GRID, levels=3 if codebook else 0, score_gain=DEFAULT_SCORE_GAIN
    )
    return QuantV2XNetwork(config)
