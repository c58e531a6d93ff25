# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and fusion of the ego in one process."""

from __future__ import annotations

from typing import Any

from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode


def create_ego(**options: Any) -> list[BaseNode]:
    """Create both nodes; the encoder passes its sweeps to fusion without a message.

    The encoder still broadcasts them for the peers.

    Args:
        options: options of both nodes.

    Raises:
        ValueError: for a parameter or bundle that cannot be used.
    """
    fusion = FusionNode(own_in_process=True, **options)
    try:
        encoder = EncoderNode(own_fusion=fusion, **options)
    except BaseException:
        fusion.destroy_node()
        raise
    return [encoder, fusion]
