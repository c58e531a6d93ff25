# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the viewer node."""

from __future__ import annotations

from dataclasses import dataclass

from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.parameter import parameter


@dataclass(frozen=True)
class ViewerParameters(NodeParameters):
    """Parameters of the viewer node."""

    host: str = parameter(
        "127.0.0.1",
        "Address to serve on. 127.0.0.1: this machine alone; 0.0.0.0: everybody who can reach "
        "it, without a password.",
    )
    port: int = parameter(
        8080, "Port to serve on; 0 for any free one.", low=0, high=65535, by_launch=True
    )
    refresh_rate: float = parameter(5.0, "Pictures per second at most [Hz].", low=0.5, high=30.0)
    max_points: int = parameter(
        30000,
        "Points of a cloud that are shown; of a larger one every n-th.",
        low=100,
        high=1_000_000,
    )
    lifetime: float = parameter(
        2.0, "What was not heard again for so long disappears [s].", low=0.1, high=60.0
    )
    peer_points: str = parameter(
        "",
        "Topics of the peers' clouds, with commas between, where they can be heard, as in a "
        "replay.",
        by_launch=True,
    )

    @property
    def peer_topics(self) -> tuple[str, ...]:
        """Return the topics of the peers' clouds."""
        return tuple(name.strip() for name in self.peer_points.split(",") if name.strip())
