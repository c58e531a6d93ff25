# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of what is done with peers' maps before they are fused."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import CHECKS, PeerViews
from quantv2x_ros.inference.pipeline import CooperativeDetector
from quantv2x_ros.inference.pose_aligner import HeldAlignment, PoseAligner
from quantv2x_ros.nodes.parameters import declare


def declare_aligner(node: Node, detector: CooperativeDetector) -> HeldAlignment | None:
    """Declare the parameters and return what corrects peers' poses; None where nothing does.

    Args:
        node: whose parameters.
        detector: of the model.
    """
    wanted = declare(
        node,
        "align_poses",
        False,
        "Correct peers' poses by what both see; costs the heads once more an agent each time.",
    )
    period = declare(
        node,
        "align_period",
        1.0,
        "Time between corrections of a peer's pose; one holds until the next [s].",
        low=0.0,
        high=60.0,
    )
    return HeldAlignment(PoseAligner(detector), period) if wanted else None


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
