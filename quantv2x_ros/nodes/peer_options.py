# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of what is done with peers' maps before they are fused."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import CHECKS, PeerViews
from quantv2x_ros.nodes.parameters import declare


def declare_views(node: Node, bundle: ModelBundle) -> PeerViews:
    """Declare the parameters and return what they describe.

    Args:
        node: whose parameters.
        bundle: the model.
    """
    check = declare(
        node,
        "consistency_check",
        "flag",
        "A peer whose map contradicts the ego's: off, named in the diagnostics, or excluded.",
        choices=CHECKS,
    )
    compensate = declare(
        node,
        "compensate_motion",
        True,
        "Move objects in peers' older maps on by their estimated velocity.",
    )
    return PeerViews(bundle, check, compensate)
